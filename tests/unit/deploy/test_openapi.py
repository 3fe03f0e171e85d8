import re
from pathlib import Path
from typing import Any

import google.api
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from openapi_spec_validator import validate

from deploy.openapi import openapi

ROOT = Path(__file__).parents[3]
COMMON_PROTOS = Path(next(iter(google.api.__path__))).parents[1]
GRPC_TOOLS_PROTOS = Path(protoc.__file__).parent / "_proto"

SHELVES = """
syntax = "proto3";
package csms.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
// Keeps shelves.
service ShelfService {
  // Gets a book.
  //
  // Fails when there is none.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {get: "/v1/{name=shelves/*/books/*}"};
  }
  // Updates a book.
  rpc UpdateBook(UpdateBookRequest) returns (Book) {
    option (google.api.http) = {patch: "/v1/{book.name=shelves/*/books/*}" body: "book"};
  }
  // Burns a book.
  rpc BurnBook(BurnBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {post: "/v1/{name=shelves/*/books/*}:burn" body: "*"};
  }
  // Watches a book.
  rpc WatchBook(GetBookRequest) returns (stream Book) {
    option (google.api.http) = {get: "/v1/{name=shelves/*/books/*}:watch"};
  }
  // Is for gRPC only.
  rpc Watch(stream GetBookRequest) returns (stream Book);
}
// Asks for a book.
message GetBookRequest {
  // Names the book.
  string name = 1 [(google.api.field_behavior) = REQUIRED];
  // Chooses pages.
  repeated int32 pages = 2 [(google.api.field_behavior) = OPTIONAL];
  // Chooses the language.
  string language_code = 3 [(google.api.field_behavior) = REQUIRED];
}
// Asks for a change.
message UpdateBookRequest {
  // Holds the book.
  Book book = 1;
  // Lists the fields.
  google.protobuf.FieldMask update_mask = 2;
}
// Asks for a fire.
message BurnBookRequest {
  // Names the book.
  string name = 1;
  // Tells how long.
  google.protobuf.Duration duration = 2 [(google.api.field_behavior) = REQUIRED];
}
// Describes a book.
message Book {
  option (google.api.resource) = {
    type: "csms.voltmesh/Book"
    pattern: "shelves/{book_shelf}/books/{book}"
  };
  // Names the book.
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  // Counts the words.
  int64 word_count = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  // Opens the lock.
  string lock_code = 3 [(google.api.field_behavior) = INPUT_ONLY];
  // Tells when it was printed.
  google.protobuf.Timestamp print_time = 4;
  // Tells how it is.
  Condition condition = 5 [(google.api.field_behavior) = OUTPUT_ONLY];
  // Names who wrote what.
  map<string, int64> authors = 6;
  // Lists the books that follow.
  repeated Book sequels = 7;
  // Tells how a book is.
  enum Condition {
    // Is never sent.
    CONDITION_UNSPECIFIED = 0;
    // Is like
    // new.
    CONDITION_NEW = 1;
  }
}
"""


def compile_protos(folder: Path, output: Path) -> FileDescriptorSet:
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("csms/v1/*.proto"))]
    includes = [f"-I{path}" for path in (folder, COMMON_PROTOS, GRPC_TOOLS_PROTOS)]
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={output}"]
    assert protoc.main(["", *includes, *options, *files, "google/rpc/status.proto"]) == 0
    return FileDescriptorSet.FromString(output.read_bytes())


@pytest.fixture
def shelves(tmp_path: Path) -> dict[str, Any]:
    proto = tmp_path / "csms" / "v1" / "shelf_service.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text(SHELVES, encoding="utf-8")
    return openapi(compile_protos(tmp_path, tmp_path / "set.binpb"))


def test_the_document_of_our_protos_is_valid_openapi(tmp_path: Path) -> None:
    document = openapi(compile_protos(ROOT / "protos", tmp_path / "set.binpb"))
    validate(document)
    assert "/v1/chargePoints/{chargePoint}" in document["paths"]


def test_every_http_binding_of_our_protos_is_documented(tmp_path: Path) -> None:
    document = openapi(compile_protos(ROOT / "protos", tmp_path / "set.binpb"))
    sources = "".join(path.read_text() for path in (ROOT / "protos/csms/v1").glob("*.proto"))
    bindings = re.findall(r'\b(?:get|put|post|patch|delete): "/v1/', sources)
    assert sum(len(operations) for operations in document["paths"].values()) == len(bindings)


def test_the_document_of_the_sample_is_valid_openapi(shelves: dict[str, Any]) -> None:
    validate(shelves)


def test_resource_names_become_path_parameters(shelves: dict[str, Any]) -> None:
    assert set(shelves["paths"]) == {
        "/v1/shelves/{bookShelf}/books/{book}",
        "/v1/shelves/{bookShelf}/books/{book}:burn",
        "/v1/shelves/{bookShelf}/books/{book}:watch",
    }


def test_a_stream_says_that_its_objects_come_a_line_each(shelves: dict[str, Any]) -> None:
    path = "/v1/shelves/{bookShelf}/books/{book}"
    plain, streamed = (shelves["paths"][path + verb]["get"] for verb in ("", ":watch"))
    assert "line" in streamed["responses"]["200"]["description"]
    assert "line" not in plain["responses"]["200"]["description"]


def test_request_fields_outside_the_path_become_query_parameters(shelves: dict[str, Any]) -> None:
    operation = shelves["paths"]["/v1/shelves/{bookShelf}/books/{book}"]["get"]
    pages, language = operation["parameters"][2:]
    integers = {"type": "array", "items": {"type": "integer", "format": "int32"}}
    assert (pages["name"], pages["in"], pages["required"]) == ("pages", "query", False)
    assert pages["schema"] == integers
    assert (language["name"], language["required"]) == ("languageCode", True)


def test_a_named_body_is_the_resource_and_the_mask_a_query_parameter(
    shelves: dict[str, Any],
) -> None:
    operation = shelves["paths"]["/v1/shelves/{bookShelf}/books/{book}"]["patch"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Book"}
    assert [p["name"] for p in operation["parameters"]] == ["bookShelf", "book", "updateMask"]


def test_a_whole_body_has_the_fields_that_the_path_does_not_fill(shelves: dict[str, Any]) -> None:
    operation = shelves["paths"]["/v1/shelves/{bookShelf}/books/{book}:burn"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["properties"]) == ["duration"]
    assert body["required"] == ["duration"]


def test_field_behavior_says_who_writes_a_property(shelves: dict[str, Any]) -> None:
    book = shelves["components"]["schemas"]["Book"]["properties"]
    assert book["name"]["readOnly"]
    assert book["wordCount"]["readOnly"]
    assert book["condition"]["readOnly"]
    assert book["lockCode"]["writeOnly"]
    assert "readOnly" not in book["printTime"]


def test_types_are_those_of_the_json_mapping(shelves: dict[str, Any]) -> None:
    book = shelves["components"]["schemas"]["Book"]["properties"]
    int64 = {"type": "string", "format": "int64"}
    assert int64.items() <= book["wordCount"].items()
    assert book["printTime"]["format"] == "date-time"
    assert book["authors"]["additionalProperties"] == int64
    assert book["sequels"]["items"] == {"$ref": "#/components/schemas/Book"}


def test_comments_become_descriptions(shelves: dict[str, Any]) -> None:
    operation = shelves["paths"]["/v1/shelves/{bookShelf}/books/{book}"]["get"]
    condition = shelves["components"]["schemas"]["Book.Condition"]
    assert operation["summary"] == "Gets a book."
    assert operation["description"] == "Fails when there is none."
    assert "* `CONDITION_NEW`: Is like new." in condition["description"]
    assert shelves["tags"] == [{"name": "ShelfService", "description": "Keeps shelves."}]


def test_errors_are_google_rpc_status(shelves: dict[str, Any]) -> None:
    content = shelves["components"]["responses"]["Errordefault"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/google.rpc.Status")
    assert set(shelves["components"]["schemas"]["google.rpc.Status"]["properties"]) == {
        "code",
        "message",
        "details",
    }
