"""Generates Python and stubs from the protos, and the descriptor set that Envoy and OpenAPI read.

The generated code is committed, so that running needs no compiler; `--check` proves it current.
`google/api` and `google/rpc` come from their wheel, both here and at import.

    python -m deploy.protos                                      generates protos/gen/csms
    python -m deploy.protos --check                              fails when that is not current
    python -m deploy.protos --descriptor-set build/csms.binpb    writes the descriptor set
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc_tools
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

PROTOS = Path(__file__).parents[1] / "protos"
GENERATED = PROTOS / "gen"
ERROR_DETAILS = ("google/rpc/status.proto", "google/rpc/error_details.proto")
"""What Envoy needs to print errors as JSON although no proto of ours imports the details."""


class CompilerError(Exception):
    """Says that protoc refused; what it found stands on stderr."""


def generate(output: Path) -> None:
    """Write modules and stubs of every proto of ours below `output`.

    Raises:
        CompilerError: a proto is wrong.
    """
    files = proto_files("csms")
    _compile(files, f"--python_out={output}", f"--mypy_out=quiet:{output}")
    services = files_with_services(files)
    _compile(services, f"--grpc_python_out={output}", f"--mypy_grpc_out=quiet:{output}")


def regenerate() -> None:
    """Replace the committed code, so that what no proto stands for any more disappears."""
    with TemporaryDirectory() as scratch:
        generate(Path(scratch))
        shutil.rmtree(GENERATED / "csms", ignore_errors=True)
        shutil.copytree(scratch, GENERATED, dirs_exist_ok=True)


def stale_files(committed: Path) -> list[str]:
    """Name the files below `committed` that are missing, left over or not what protoc makes."""
    with TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, present = _contents(Path(scratch)), _contents(committed)
    names = fresh.keys() | present.keys()
    return sorted(name for name in names if fresh.get(name) != present.get(name))


def write_descriptor_set(path: Path) -> None:
    """Write the descriptors of the public API, with all imports and comments, to `path`.

    Raises:
        CompilerError: a proto is wrong.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [*proto_files("csms/v1"), *ERROR_DETAILS]
    _compile(files, f"--descriptor_set_out={path}", "--include_imports", "--include_source_info")


def proto_files(folder: str) -> list[str]:
    """List the protos below a folder of `protos/`, in the form in which they are imported."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob(f"{folder}/**/*.proto"))


def files_with_services(files: Iterable[str]) -> list[str]:
    """Pick the protos that define a service; for the others gRPC has nothing to generate."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "set.binpb")
        _compile(files, f"--descriptor_set_out={path}")
        descriptors = FileDescriptorSet.FromString(path.read_bytes())
    return [file.name for file in descriptors.file if file.service]


def _compile(files: Iterable[str], *options: str) -> None:
    scripts = Path(sys.executable).parent
    command = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{Path(annotations_pb2.__file__).parents[2]}",
        f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        *options,
        *files,
    ]
    if protoc.main(command) != 0:
        raise CompilerError("The protos do not compile; protoc says why above.")


def _contents(folder: Path) -> dict[str, bytes]:
    paths = (*folder.glob("**/*.py"), *folder.glob("**/*.pyi"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.protos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="fail when protos/gen is not current")
    choice.add_argument("--descriptor-set", type=Path, metavar="PATH", help="write it to PATH")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks; leave with a message and status 1 when it fails."""
    options = _arguments(arguments)
    try:
        if options.check:
            if stale := stale_files(GENERATED):
                sys.exit(f"Not current, run `make proto`: {', '.join(stale)}")
        elif options.descriptor_set:
            write_descriptor_set(options.descriptor_set)
        else:
            regenerate()
    except CompilerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
