"""`python -m tests.fakes PROVIDER --district DIR --port P`: a fake as a process of its own.

One line of JSON says that it is ready, and what must be set so that Homerow reads from it.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette

from tests.fakes import classlink, clever, oneroster
from tests.fakes.serving import listen, server_of, url_of


class Fake(NamedTuple):
    create_app: Callable[[Path], Starlette]
    describe: Callable[[str, Any], dict[str, Any]]


FAKES: Final = {
    "clever": Fake(clever.create_app, clever.describe),
    "classlink": Fake(classlink.create_app, classlink.describe),
    "oneroster": Fake(oneroster.create_app, oneroster.describe),
}


def main() -> None:
    arguments = _arguments()
    fake = FAKES[arguments.provider]
    app = fake.create_app(arguments.district)
    server = server_of(app)
    if arguments.tethered:
        threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    with listen(arguments.port) as listener:
        listener.listen()
        print(json.dumps(fake.describe(url_of(listener), app.state.fake)), flush=True)  # noqa: T201
        asyncio.run(server.serve(sockets=[listener]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("provider", choices=sorted(FAKES))
    parser.add_argument("--district", type=_folder, required=True, help="a folder of CSV files")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--tethered", action="store_true", help="end when standard input does")
    return parser.parse_args()


def _folder(text: str) -> Path:
    path = Path(text)
    if not (path / "users.csv").is_file():
        raise argparse.ArgumentTypeError(f"there is no users.csv in {text}")
    return path


def _end_with_parent(server: Any) -> None:
    # The bare descriptor: a thread that waits inside sys.stdin would block our own exit.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main()
