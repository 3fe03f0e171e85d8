"""Reads descriptor sets: a pool to look things up in, and the comments of the protos."""

from collections.abc import Iterator

from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

Path = tuple[int, ...]
Element = tuple[Path, str]


def load_pool(descriptor_set: FileDescriptorSet) -> DescriptorPool:
    """Return a pool with every file of the set, which must hold its imports."""
    pool = DescriptorPool()
    for file in descriptor_set.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


class Comments:
    """The leading comments of protos, by the full name of what they describe."""

    def __init__(self, descriptor_set: FileDescriptorSet) -> None:
        self._texts = {
            name: text for file in descriptor_set.file for name, text in _comments_of_file(file)
        }

    def of(self, full_name: str) -> str:
        """Return the comment without its indentation; empty when there is none."""
        return self._texts.get(full_name, "")

    def of_value(self, enum: EnumDescriptor, value: EnumValueDescriptor) -> str:
        """Return the comment of an enum value, in one line."""
        return self.of(f"{enum.full_name}.{value.name}").replace("\n", " ")


def _comments_of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_elements(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            lines = location.leading_comments.splitlines()
            yield name, "\n".join(line.removeprefix(" ") for line in lines).strip()


# The numbers are the field numbers of descriptor.proto, which SourceCodeInfo builds its paths from.


def _elements(file: FileDescriptorProto) -> Iterator[Element]:
    for index, message in enumerate(file.message_type):
        yield from _message(message, (4, index), f"{file.package}.{message.name}")
    for index, enum in enumerate(file.enum_type):
        yield from _enum(enum, (5, index), f"{file.package}.{enum.name}")
    for index, service in enumerate(file.service):
        yield from _service(service, (6, index), f"{file.package}.{service.name}")


def _message(message: DescriptorProto, path: Path, name: str) -> Iterator[Element]:
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, 2, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message(nested, (*path, 3, index), f"{name}.{nested.name}")
    for index, enum in enumerate(message.enum_type):
        yield from _enum(enum, (*path, 4, index), f"{name}.{enum.name}")


def _enum(enum: EnumDescriptorProto, path: Path, name: str) -> Iterator[Element]:
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, 2, index), f"{name}.{value.name}"


def _service(service: ServiceDescriptorProto, path: Path, name: str) -> Iterator[Element]:
    yield path, name
    for index, method in enumerate(service.method):
        yield (*path, 2, index), f"{name}.{method.name}"
