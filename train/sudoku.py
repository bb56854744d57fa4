"""6x6 Sudoku (boxes 2 rows by 3 columns): solver, generator, symmetries, text form.

Not a puzzle library: only what training and evaluation of the pocket model need, in plain Python and numpy.
The idea: one *chain* is a solved grid and the cells removed from it, in order, so that the puzzle keeps exactly one
solution after each removal; the end of a chain is a minimal puzzle, and every prefix is an easier puzzle. A few tens
of thousands of chains and the symmetries of the grid (2,488,320 of them, digits included) give fresh puzzles forever.
Checked by: check.py.

    python3 sudoku.py CHAINS.npz COUNT SEED      makes chains
"""
import random
import sys

import numpy as np

SIZE = 36
ROWS = [[r * 6 + c for c in range(6)] for r in range(6)]
COLS = [[r * 6 + c for r in range(6)] for c in range(6)]
BOXES = [[(b // 2 * 2 + i // 3) * 6 + b % 2 * 3 + i % 3 for i in range(6)] for b in range(6)]
UNITS = ROWS + COLS + BOXES
ROW_OF = [i // 6 for i in range(SIZE)]
COL_OF = [i % 6 for i in range(SIZE)]
BOX_OF = [i // 12 * 2 + i % 6 // 3 for i in range(SIZE)]
ONES = [bin(m).count("1") for m in range(64)]
BITS = [[d for d in range(6) if m >> d & 1] for m in range(64)]


def search(grid, rows, cols, boxes, limit, order=None):
    """Counts solutions of `grid` (0 = empty, else 1..6), at most `limit`; leaves the last one found in `grid`.

    `rows`, `cols`, `boxes` are bit masks of the digits used. The cell with the fewest candidates is filled first."""
    best, best_mask, fewest = -1, 0, 7
    for i in range(SIZE):
        if grid[i] == 0:
            mask = 63 & ~(rows[ROW_OF[i]] | cols[COL_OF[i]] | boxes[BOX_OF[i]])
            n = ONES[mask]
            if n < fewest:
                best, best_mask, fewest = i, mask, n
                if n <= 1:
                    break
    if best < 0:
        return 1
    found = 0
    r, c, b = ROW_OF[best], COL_OF[best], BOX_OF[best]
    digits = BITS[best_mask]
    if order is not None:
        digits = sorted(digits, key=lambda d: order[d])
    for d in digits:
        bit = 1 << d
        grid[best] = d + 1
        rows[r] |= bit
        cols[c] |= bit
        boxes[b] |= bit
        found += search(grid, rows, cols, boxes, limit - found, order)
        rows[r] ^= bit
        cols[c] ^= bit
        boxes[b] ^= bit
        if found >= limit:
            return found
        grid[best] = 0
    return found


def masks(grid):
    rows, cols, boxes = [0] * 6, [0] * 6, [0] * 6
    for i, v in enumerate(grid):
        if v:
            bit = 1 << (v - 1)
            rows[ROW_OF[i]] |= bit
            cols[COL_OF[i]] |= bit
            boxes[BOX_OF[i]] |= bit
    return rows, cols, boxes


def count_solutions(grid, limit=2):
    return search(list(grid), *masks(grid), limit)


def solve(grid):
    """The solution of a puzzle that has one; a list of 36 digits."""
    work = list(grid)
    return work if search(work, *masks(grid), 1) else None


def full_grid(rng):
    """A random solved grid: a random first row, four random cells below it, then the first solution of a search in a
    random digit order. Not uniform over all grids; symmetries shuffle everything again later."""
    row = list(range(1, 7))
    rng.shuffle(row)
    grid = row + [0] * 30
    order = list(range(6))
    rng.shuffle(order)
    for cell in rng.sample(range(6, SIZE), 4):          # four random seeds; start again if they contradict
        rows, cols, boxes = masks(grid)
        free = BITS[63 & ~(rows[ROW_OF[cell]] | cols[COL_OF[cell]] | boxes[BOX_OF[cell]])]
        if free and grid[cell] == 0:
            grid[cell] = rng.choice(free) + 1
    return grid if search(grid, *masks(grid), 1, order) else full_grid(rng)


def chain(rng):
    """(solution, removed): 36 digits, and the cells removed in order, as far as the solution stays the only one."""
    solution = full_grid(rng)
    grid = list(solution)
    removed = []
    for cell in rng.sample(range(SIZE), SIZE):
        v, grid[cell] = grid[cell], 0
        rows, cols, boxes = masks(grid)
        r, c, b = ROW_OF[cell], COL_OF[cell], BOX_OF[cell]
        others = 63 & ~(rows[r] | cols[c] | boxes[b] | 1 << (v - 1))
        unique = True
        for d in BITS[others]:                           # is there a solution with another digit in this cell?
            trial = list(grid)
            trial[cell] = d + 1
            if count_solutions(trial, 1):
                unique = False
                break
        if unique:
            removed.append(cell)
        else:
            grid[cell] = v
    return solution, removed


def make_chains(count, seed):
    """Arrays (solutions [count, 36] int8, removed [count, 36] int8 padded with -1, lengths [count])."""
    rng = random.Random(seed)
    solutions = np.zeros((count, SIZE), np.int8)
    removed = np.full((count, SIZE), -1, np.int8)
    lengths = np.zeros(count, np.int8)
    for i in range(count):
        s, r = chain(rng)
        solutions[i] = s
        removed[i, :len(r)] = r
        lengths[i] = len(r)
    return solutions, removed, lengths


def symmetry(rng):
    """A random symmetry as (cell permutation [36], digit map [7]); rows stay rows, since boxes are not square."""
    rows = [band * 2 + r for band in rng.permutation(3) for r in rng.permutation(2)]
    cols = [stack * 3 + c for stack in rng.permutation(2) for c in rng.permutation(3)]
    cells = (np.array(rows)[:, None] * 6 + np.array(cols)[None, :]).reshape(-1)
    return cells, np.concatenate([[0], rng.permutation(6) + 1])


class Chains:
    """Endless puzzles from stored chains.

    The number of givens: with probability `hard` the end of the chain (a minimal puzzle, 8 to 14 givens), else
    uniform between 8 and 22, cut off at the end of the chain. evaluate.py uses hard = 0, training more."""

    def __init__(self, solutions, removed, lengths, hard=0.4):
        self.solutions, self.removed, self.lengths, self.hard = solutions, removed, lengths, hard

    @classmethod
    def load(cls, path, **options):
        with np.load(path) as f:
            return cls(f["solutions"], f["removed"], f["lengths"], **options)

    def draw(self, rng):
        """(puzzle, solution), arrays of 36 digits."""
        i = rng.integers(len(self.lengths))
        n = int(self.lengths[i])
        if rng.random() >= self.hard:
            n = min(n, SIZE - int(rng.integers(8, 23)))
        solution = self.solutions[i].copy()
        puzzle = solution.copy()
        puzzle[self.removed[i, :n]] = 0
        cells, digits = symmetry(rng)
        return digits[puzzle[cells]], digits[solution[cells]]


def text(grid):
    """Six lines of six characters, digits and "." for empty."""
    s = "".join(".123456"[int(v)] for v in grid)
    return "\n".join(s[i:i + 6] for i in range(0, SIZE, 6))


def parse(lines):
    """The inverse of `text`; None where it is not a grid."""
    s = lines.replace("\n", "")
    return [".123456".index(c) for c in s] if len(s) == SIZE and set(s) <= set(".123456") else None


if __name__ == "__main__":
    path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    s, r, n = make_chains(count, seed)
    np.savez(path, solutions=s, removed=r, lengths=n)
    print(path, count, "chains, givens at the end:", dict(zip(*np.unique(SIZE - n, return_counts=True))))
