"""Data sets: files with tables and queries, in a folder that the user names.

The folder is the argument `data_dir`, or the environment variable PILOTSCOPE_DATA_DIR: the files
themselves, the folder `Dataset` of PilotScope's package, or a checkout of it. A checkout that
Python finds (`sys.path`) is searched, too.

pilot downloads the tables only if the user asks: by `download()`, or by PILOTSCOPE_DOWNLOAD=1 in
the environment of an unchanged script. They come from where PilotScope publishes its data sets.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pilotcli.common.errors import CapabilityError, UsageError
from pilotcli.compat.errors import raises_theirs
from pilotcli.compat.pilotscope.Dataset.Utils import database_enum_to_sqlglot_str
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum
from pilotcli.plugins.aliases import installed_folder
from pilotcli.workload import open_workload

__all__ = ["BaseDataset"]

TIMEOUT_S = 60.0


@raises_theirs
class BaseDataset:
    """The base of data sets. A subclass names the files and their addresses.

    - `schema_file`: the SQL script that creates and fills the tables;
    - `data_location_dict`: by kind of database, the addresses of an archive with this script;
      several addresses are parts of one archive, in their order;
    - `data_sha256`: the archive's checksum;
    - `sub_dir`: the folder of the files in PilotScope's package;
    - `now_path`: the folder in which they were found.
    """

    db_name = ""
    sub_dir: str | None = None
    schema_file: str | None = None
    train_sql_file: str | None = None
    test_sql_file: str | None = None
    fast_sql_file: str | None = None
    data_location_dict: Mapping[Any, Sequence[str] | None] | None = None
    data_sha256: str | None = None
    file_db_type = DatabaseEnum.POSTGRESQL
    source = "PilotScope's repository, pilotscope/Dataset"

    def __init__(
        self,
        use_db_type: Any = DatabaseEnum.POSTGRESQL,
        created_db_name: str | None = None,
        data_dir: str | Path | None = None,
    ) -> None:
        # Some of PilotScope's own scripts pass the enumeration itself.
        if use_db_type not in (*DatabaseEnum, DatabaseEnum):
            raise CapabilityError(f"there is no kind of databases {use_db_type!r}")
        self.use_db_type = use_db_type
        self.created_db_name = created_db_name or self.db_name
        named = os.environ.get("PILOTSCOPE_DATA_DIR")
        self._given = [Path(folder) for folder in (data_dir, named) if folder]
        self.data_dir = self._given[0] if self._given else None
        located = self.data_location_dict or {}
        self.download_urls = tuple(located.get(DatabaseEnum.POSTGRESQL) or ())

    @property
    def now_path(self) -> str:
        """The folder of the files; the one that was named where none was found."""
        for name in (self.train_sql_file, self.schema_file):
            found = self._find(name) if name else None
            if found is not None:
                return str(found.parent)
        return "" if self.data_dir is None else str(self.data_dir)

    @now_path.setter
    def now_path(self, folder: str | Path) -> None:
        """Look for the files in `folder` first; a subclass with files of its own sets it."""
        self._given.insert(0, Path(folder))

    def read_schema(self) -> list[str]:
        """The statements that create and fill the tables. Raises `UsageError` if their file is
        missing."""
        return self._statements(self.schema_file)

    def read_train_sql(self) -> list[str]:
        """The training queries. Raises as `read_schema`."""
        return self._statements(self.train_sql_file)

    def read_test_sql(self) -> list[str]:
        """The test queries. Raises as `read_schema`."""
        return self._statements(self.test_sql_file)

    def test_sql_fast(self) -> list[str]:
        """The test queries that end quickly. Raises as `read_schema`."""
        return self._statements(self.fast_sql_file)

    def download(self) -> Path:
        """Download the tables into the data set's folder, and return their file.

        An existing file is kept. The archive is used only if its checksum is right. Raises
        `UsageError` for a data set without an address, an archive that cannot be downloaded, and
        one with another checksum.
        """
        folder = self._folder()
        what = type(self).__name__
        if self.schema_file is None or not self.download_urls:
            raise UsageError(
                f"{what} has no address to download from", hint=f"It comes from {self.source}."
            )
        known = self._find(self.schema_file)
        if known is not None:
            return known
        path = folder / self.schema_file
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as archive:
            found = self._fetch(archive)
            if self.data_sha256 is not None and found != self.data_sha256:
                raise UsageError(
                    f"{', '.join(self.download_urls)}: the archive of {what} has another checksum "
                    f"(its sha256 is {found}, not {self.data_sha256})",
                    hint="Nothing of it was used. Check the address, then download it again.",
                )
            archive.seek(0)
            _unpack(archive, path, what)
        return path

    def load_to_db(self, config: Any) -> None:
        """Create the database `created_db_name` and load the tables into it. `config.db` is then
        its name."""
        if os.environ.get("PILOTSCOPE_DOWNLOAD") == "1" and self.download_urls:
            self.download()
        if self.use_db_type is DatabaseEnum.SPARK:
            raise CapabilityError("data sets can be loaded into PostgreSQL only")
        script = self._file(self.schema_file)
        config.db = self.created_db_name
        controller = DBControllerFactory.get_db_controller(config)
        try:
            session = controller.session()
            with open_workload([str(script)]) as workload:
                for query in workload:
                    session.execute(query.sql, query.copy)
        finally:
            controller.close()

    def _fetch(self, archive: IO[bytes]) -> str:
        """Download the archive, part by part, and return its sha256."""
        digest = hashlib.sha256()
        for url in self.download_urls:
            if not url.startswith(("https://", "http://")):
                raise UsageError(f"{url!r} is not an http or https address")
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - see above
                    while chunk := answer.read(1 << 20):
                        digest.update(chunk)
                        archive.write(chunk)
            except OSError as exc:
                raise UsageError(
                    f"{url} cannot be downloaded: {exc}",
                    hint="Download it in another way, and name the folder with its file.",
                ) from exc
        return digest.hexdigest()

    def _folder(self) -> Path:
        if self.data_dir is None:
            what = type(self).__name__
            raise UsageError(
                f"{what} needs the folder with its files",
                hint=f"Name it: {what}(DatabaseEnum.POSTGRESQL, data_dir=...), or set "
                f"PILOTSCOPE_DATA_DIR. The files come from {self.source}.",
            )
        return self.data_dir

    def _file(self, name: str | None) -> Path:
        if name is None:
            raise UsageError(f"{type(self).__name__} names no such file")
        path = self._find(name)
        if path is None:
            hint = f"It comes from {self.source}."
            if name == self.schema_file and self.download_urls:
                hint = "Download it with download(), or with PILOTSCOPE_DOWNLOAD=1 in the "
                hint += f"environment: {', '.join(self.download_urls)}"
            raise _MissingFileError(f"there is no file {self._folder() / name}", hint=hint)
        return path

    def _find(self, name: str) -> Path | None:
        """The first file of that name, in the folders in which it may be."""
        inside = self.sub_dir or ""
        places = ("", inside, f"Dataset/{inside}", f"pilotscope/Dataset/{inside}")
        # Where a subclass has a `now_path` of its class, as PilotScope's have, there is no setter.
        own = vars(self).get("now_path")
        given = [*([Path(own)] if own else []), *self._given]
        folders = [folder / place for folder in given for place in places]
        installed = installed_folder()
        if installed is not None:
            folders.append(installed / "Dataset" / inside)
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    def _statements(self, name: str | None) -> list[str]:
        """The statements of a file of the data set, in the dialect of `use_db_type`."""
        return self._get_sql(self._file(name))

    def _get_sql(self, file_path: str | Path) -> list[str]:
        """The same of any file: PilotScope's own data sets read their further files with this."""
        with open_workload([str(file_path)]) as workload:
            statements = [query.sql for query in workload]
        if self.use_db_type is not DatabaseEnum.SPARK:
            return statements
        import sqlglot

        return sqlglot.transpile(
            ";".join(statements),
            read=database_enum_to_sqlglot_str(self.file_db_type),
            write=database_enum_to_sqlglot_str(DatabaseEnum.SPARK),
        )


class _MissingFileError(UsageError, FileNotFoundError):
    """A file of a data set is missing; PilotScope's scripts catch `FileNotFoundError`."""


def _unpack(archive: IO[bytes], path: Path, what: str) -> None:
    """Write the archive's first file to `path`, whole or not at all. Its name in the archive does
    not matter."""
    try:
        with tarfile.open(fileobj=archive) as files:
            member = next((file for file in files if file.isfile()), None)
            source = None if member is None else files.extractfile(member)
            if source is None:
                raise UsageError(f"the archive of {what} has no file in it")
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                try:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise UsageError(f"the archive of {what} cannot be unpacked: {exc}") from exc
