"""Generated code is current, and the descriptor set holds what Envoy and OpenAPI need."""

import shutil
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from deploy import protos


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(protos.GENERATED, tmp_path / "gen"))


def test_committed_code_is_what_the_protos_generate() -> None:
    assert protos.stale_files(protos.GENERATED) == []


def test_changed_missing_and_left_over_files_are_named(copy: Path) -> None:
    folder = Path("csms/ocpp/v16")
    (copy / folder / "core_pb2.py").write_text("# changed")
    (copy / folder / "types_pb2.pyi").unlink()
    (copy / folder / "retired_pb2.py").touch()
    names = ["core_pb2.py", "retired_pb2.py", "types_pb2.pyi"]
    assert protos.stale_files(copy) == [str(folder / name) for name in names]


def test_check_fails_with_the_names(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "csms/ocpp/v16/core_pb2.py").write_text("# changed")
    monkeypatch.setattr(protos, "GENERATED", copy)
    with pytest.raises(SystemExit, match=r"run `make proto`: csms/ocpp/v16/core_pb2\.py$"):
        protos.main(["--check"])


def test_grpc_code_is_made_only_for_services() -> None:
    files = protos.proto_files("csms")
    assert "csms/gateway/v1/call.proto" in protos.files_with_services(files)
    assert not (protos.GENERATED / "csms/ocpp/v16/core_pb2_grpc.py").exists()


def test_descriptor_set_holds_error_details_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "build" / "csms.binpb"
    protos.main(["--descriptor-set", str(path)])
    files = {file.name: file for file in FileDescriptorSet.FromString(path.read_bytes()).file}
    assert files.keys() >= {*protos.proto_files("csms/v1"), *protos.ERROR_DETAILS}
    assert files.keys().isdisjoint(protos.proto_files("csms/gateway"))
    public = [files[name] for name in protos.proto_files("csms/v1")]
    comments = [any(at.leading_comments for at in of.source_code_info.location) for of in public]
    assert comments
    assert all(comments)


def test_a_wrong_proto_fails_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "csms").mkdir()
    (tmp_path / "csms" / "wrong.proto").write_text('syntax = "proto3"; message {')
    monkeypatch.setattr(protos, "PROTOS", tmp_path)
    with pytest.raises(SystemExit, match="do not compile"):
        protos.main(["--check"])
