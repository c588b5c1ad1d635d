"""Slow clients: many connections that send a byte a second, and come back when they are ended. Until it is killed.

Prints a line when all have connected once.
"""

import argparse
import asyncio
import resource

_REQUEST = b"GET /companies HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 10_000
_PAUSE = 1.0


async def _client(port: int, connected: asyncio.Semaphore) -> None:
    is_first = True
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_PAUSE)
            continue
        if is_first:
            connected.release()
            is_first = False
        try:
            for number in range(len(_REQUEST)):
                writer.write(_REQUEST[number : number + 1])
                await writer.drain()
                await asyncio.sleep(_PAUSE)
        except OSError:
            await asyncio.sleep(_PAUSE)
        finally:
            writer.close()


async def _all(port: int, count: int) -> None:
    connected = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_client(port, connected))
        for _ in range(count):
            await connected.acquire()
        print("connected", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_all(arguments.port, arguments.count))


if __name__ == "__main__":
    main()
