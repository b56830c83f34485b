"""What tubeskel costs, measured against the peers and against the copy of its input.

``python -m benchmarks thin|tube|loss`` measures, the first two with ``--dims 3`` on volumes;
``python -m benchmarks markdown|figure`` turns the JSON of such runs into the README's table and
figure. One file a concern:

- `cases`, `trees`: what is worked on; `peers`: against whom; `operations`: what is done, by us;
- `timing`, `memory`: how time and memory are taken; `runner`: the run itself;
- `gpu`: all of this on a GPU, by itself (``python -m benchmarks.gpu``); `device`: how time is taken
  there; `gpu_check`: ``make gpu-check``; NOTES.md: what each kernel must do and what it costs;
- `report`: what a run found, as JSON; `tables`, `figure`: how it is shown; `cli`: the commands.

A new operation is an entry in `operations.OPERATIONS`, a new peer one in `peers.PEERS`, a new case
one in `cases.SUITES`; the pytest-benchmark suite in ``test_bench.py`` follows by itself.
"""
