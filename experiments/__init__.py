"""The comparative study: data sets, training, scores and report for topology losses."""
