"""What tubeskel costs, measured against the peers and against the copy of its input.

``python -m benchmarks thin|dilate|tube|loss|metrics|train-step|growth|all`` measures, on the CPU
or, with ``--device cuda``, on a GPU; ``markdown`` and ``figure`` turn the JSON of such runs into
the README's overview, the page of all tables and the pictures. One file a concern:

- `cases`, `trees`: what is worked on; `peers`: against whom; `operations`: what is done, by us;
- `timing`, `memory`: how time and memory are taken; `runner`: the run itself; `growth`: series of
  one quantity, with their exponents;
- `gpu`, `device`: the same on a GPU; `gpu_check`: all that needs one;
- `report`: what a run found, as JSON; `compare`: what changed since an earlier one;
- `tables`, `plots`, `figure`: how it is shown; `cli`: the commands.

A new operation is an entry in `operations.OPERATIONS`, a new peer one in a file of `peers`, a new
case one in `cases.SUITES`, or in `cases.FAMILIES` if it can have any size; the pytest-benchmark
suite in ``test_bench.py`` follows by itself.
"""
