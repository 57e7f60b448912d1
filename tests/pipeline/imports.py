"""Which of our own modules a module imports, directly or through others, read from the source text."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def module_file(name: str) -> Path | None:
    """Return the file of one of our modules or packages, `None` for everybody else's."""
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file() and name.split(".")[0] in {"otcore", "pipeline"}:
            return path.relative_to(ROOT)
    return None


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a module that may run: not those below `if TYPE_CHECKING`."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run(child)


def direct(path: Path) -> set[Path]:
    """Return the files that one file imports, packages that it passes through included."""
    names: set[str] = set()
    for node in _run(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    steps = {".".join(name.split(".")[: i + 1]) for name in names for i in range(name.count(".") + 1)}
    return {file for name in steps if (file := module_file(name))}


def closure(path: Path) -> set[Path]:
    """Return all files that running one file may import."""
    seen, todo = {path}, [path]
    while todo:
        for file in direct(todo.pop()) - seen:
            seen.add(file)
            todo.append(file)
    return seen
