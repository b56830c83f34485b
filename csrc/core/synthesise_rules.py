"""Write ``deletion_rules.h``: the thinning tables as circuits of three-input functions.

A deletion rule is a boolean function of the eight neighbours of a pixel. Evaluated on words it
handles 64 pixels at once, and one three-input function is one instruction on both targets
(VPTERNLOG, LOP3). The logic minimiser ABC (Berkeley; the program ``berkeley-abc``) maps each table
to few such functions from many random starting points; every circuit is checked on all 256
neighbourhoods before it is written.

Run by hand when a table changes: ``python csrc/core/synthesise_rules.py --restarts 2000``.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import subprocess
import tempfile
from pathlib import Path

# Zhang & Suen 1984 as scikit-image 0.26 has it: 1 deletes in the first sub-iteration, 2 in the
# second, 3 in both. It differs from the textbook's rule in 16 and 15 of the 256 entries.
ZHANG_NEIGHBOURS = ("nw", "n", "ne", "e", "se", "s", "sw", "w")  # index bits 0..7
ZHANG = (
    "0001001300311013000000002020303300000000300000000000000020003022"
    "0000000000000000000000000000000020000000200020003000000030003020"
    "0031001300000001000000000000000131000000000000002000000000000000"
    "2313001300000001000000000000000023010001000000003301000022002000"
)
GUO_HALL_NEIGHBOURS = ("e", "ne", "n", "nw", "w", "sw", "s", "se")


def guo_hall(index: int, first: bool) -> bool:
    """Conditions G1, G2 and G3 (or G3') of Guo & Hall 1989 for neighbours x1..x8, east first."""
    x = [bool(index >> bit & 1) for bit in range(8)]
    crossings = sum(not x[i] and (x[i + 1] or x[(i + 2) % 8]) for i in (0, 2, 4, 6))
    pairs = min(
        sum(x[i] or x[i - 1] for i in (1, 3, 5, 7)),
        sum(x[i] or x[(i + 1) % 8] for i in (1, 3, 5, 7)),
    )
    a, b, c, d = (1, 2, 7, 0) if first else (5, 6, 3, 4)
    return crossings == 1 and pairs in (2, 3) and not ((x[a] or x[b] or not x[c]) and x[d])


RULES = {
    "zhang_first": (ZHANG_NEIGHBOURS, [v in "13" for v in ZHANG]),
    "zhang_second": (ZHANG_NEIGHBOURS, [v in "23" for v in ZHANG]),
    "guo_hall_first": (GUO_HALL_NEIGHBOURS, [guo_hall(i, True) for i in range(256)]),
    "guo_hall_second": (GUO_HALL_NEIGHBOURS, [guo_hall(i, False) for i in range(256)]),
}
Gate = tuple[str, tuple[str, ...], int]  # output, inputs, truth table (bit i: inputs spell i)


def shortest_expressions() -> dict[int, str]:
    """Map each three-input truth table to an expression of ``{0} {1} {2}`` with few operators."""
    best = {0xAA: "{0}", 0xCC: "{1}", 0xF0: "{2}"}
    levels = [dict(best)]
    while len(best) < 254:
        fresh: dict[int, str] = {}
        for size in range(len(levels)):
            pairs = itertools.product(levels[size].items(), levels[len(levels) - 1 - size].items())
            for (f, left), (g, right) in pairs:
                for table, text in (
                    (f & g, f"({left} & {right})"),
                    (f | g, f"({left} | {right})"),
                    (f ^ g, f"({left} ^ {right})"),
                ):
                    if table not in best and table not in fresh and table not in (0, 255):
                        fresh[table] = text
        for f, text in levels[-1].items():
            fresh.setdefault(~f & 255, f"~{text}") if ~f & 255 not in best else None
        levels.append(fresh)
        best.update(fresh)
    return best


def read_blif(text: str) -> list[Gate]:
    """Read the gates of a mapped network, in topological order."""
    gates: list[Gate] = []
    for block in text.split(".names ")[1:]:
        lines = block.split(".end")[0].split("\n")
        *inputs, output = lines[0].split()
        table, on = 0, "1"
        for row in filter(None, lines[1:]):
            pattern, on = row.split()
            for index in range(2 ** len(inputs)):
                if all(p in ("-", str(index >> i & 1)) for i, p in enumerate(pattern)):
                    table |= 1 << index
        if on == "0":
            table ^= (1 << 2 ** len(inputs)) - 1
        gates.append((output, tuple(inputs), table))
    known, ordered = set("abcdefgh"), []
    while gates:
        ready = next(g for g in gates if known.issuperset(g[1]))
        gates.remove(ready)
        known.add(ready[0])
        ordered.append(ready)
    return ordered


def evaluate(gates: list[Gate], values: dict[str, int]) -> int:
    """Value of the last gate for given inputs."""
    for output, inputs, table in gates:
        values[output] = table >> sum(values[name] << i for i, name in enumerate(inputs)) & 1
    return values[gates[-1][0]]


def map_once(table: list[bool], order: list[int], start: str) -> list[Gate] | None:
    """Map a table with its inputs taken in `order`, from one starting form of the network.

    None where ABC crashes, which it does from some starting forms.
    """
    truth = 0
    for index, value in enumerate(table):
        permuted = sum((index >> bit & 1) << place for place, bit in enumerate(order))
        truth |= value << permuted
    rounds = "; ".join(["strash; dc2; dch; if -K 3 -a; mfs2 -a -e -M 3"] * 6)
    with tempfile.TemporaryDirectory() as folder:
        script = f"read_truth {truth:064x}; collapse; {start}; {rounds}; write_blif net.blif"
        abc = subprocess.run(["berkeley-abc", "-q", script], cwd=folder, capture_output=True)
        if abc.returncode != 0:
            return None
        return read_blif((Path(folder) / "net.blif").read_text())


def smallest_circuit(table: list[bool], restarts: int) -> tuple[list[int], list[Gate]]:
    """Try many input orders and starting forms; keep the circuit of the fewest gates."""
    best: tuple[list[int], list[Gate]] | None = None
    for attempt in range(restarts):
        order = random.sample(range(8), 8)
        start = ("bdd; dsd; strash", "sop; strash", "sop; fx; strash", "bdd; strash")[attempt % 4]
        gates = map_once(table, order, start)
        if gates is None or max(len(inputs) for _, inputs, _ in gates) > 3:
            continue
        if best is None or len(gates) < len(best[1]):
            best = (order, gates)
    assert best is not None
    return best


def write_function(name: str, restarts: int, expressions: dict[int, str]) -> str:
    """C++ text of one rule."""
    neighbours, table = RULES[name]
    order, gates = smallest_circuit(table, restarts)
    letters = dict(zip("abcdefgh", order, strict=True))
    for index, value in enumerate(table):
        inputs = {letter: index >> bit & 1 for letter, bit in letters.items()}
        assert evaluate(gates, inputs) == value, name
    names = {letter: f"p.{neighbours[bit]}" for letter, bit in letters.items()}
    lines = []
    for count, (output, inputs, bits) in enumerate(gates):
        repeat = 8 >> len(inputs)
        full = sum(bits << (k << len(inputs)) for k in range(repeat))
        text = expressions[full].format(*(names[i] for i in inputs), *("",) * (3 - len(inputs)))
        names[output] = f"g{count}"
        text = re.sub(r"^\((.*)\)$", r"\1", text)
        lines.append(
            f"  const W g{count} = {text};" if count + 1 < len(gates) else f"  return {text};"
        )
    head = (
        f"// {len(gates)} three-input functions; true where the rule deletes a foreground pixel.\n"
        f"template <class W>\nTUBESKEL_INLINE W {name}(const Neighbours<W>& p) {{\n"
    )
    return head + "\n".join(lines) + "\n}\n"


HEADER = """\
// Deletion rules of the 2D thinning methods as boolean circuits on bit planes.
// Written by synthesise_rules.py, which holds the tables; tests/core checks all 256 neighbourhoods.
//
// Zhang, T. Y. & Suen, C. Y. (1984). A fast parallel algorithm for thinning digital patterns.
// Communications of the ACM 27(3), 236-239; with the table of scikit-image 0.26.
// Guo, Z. & Hall, R. W. (1989). Parallel thinning with two-subiteration algorithms.
// Communications of the ACM 32(3), 359-373.
#pragma once

#include "neighbours.h"

namespace tubeskel::core {

"""


def main() -> None:
    """Synthesise all rules and write the header beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    expressions = shortest_expressions()
    functions = [write_function(name, arguments.restarts, expressions) for name in RULES]
    text = HEADER + "\n".join(functions) + "\n}  // namespace tubeskel::core\n"
    (Path(__file__).parent / "deletion_rules.h").write_text(text)


if __name__ == "__main__":
    main()
