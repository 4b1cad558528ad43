"""rpm's packages: the libraries in a package file, and which package a file is from."""

from liveso.rpm.archive import libraries_of
from liveso.rpm.database import owner

__all__ = ["libraries_of", "owner"]
