#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that talk lines over TCP as badly as a test wants. Argument: JSON, {port: behaviour}; a behaviour has

  say      what is said first
  answers  {beginning of a line: what is answered}
  close    whether the connection is closed after `say`
  drip     what is said over and over, once a second
  flood    what is said over and over, as fast as it goes
"""

import asyncio
import json
import sys


async def talk(behaviour, reader, writer):
    try:
        writer.write(behaviour.get("say", "").encode("latin-1"))
        await writer.drain()
        for name, pause in (("drip", 1), ("flood", 0)):
            while name in behaviour:
                writer.write(behaviour[name].encode("latin-1"))
                await writer.drain()
                await asyncio.sleep(pause)
        while not behaviour.get("close"):
            line = (await reader.readline()).decode("latin-1")
            if not line:
                break
            for beginning, answer in behaviour.get("answers", {}).items():
                if line.startswith(beginning):
                    writer.write(answer.encode("latin-1"))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    for port, behaviour in json.loads(sys.argv[1]).items():
        await asyncio.start_server(lambda r, w, b=behaviour: talk(b, r, w), None, int(port))
    await asyncio.Event().wait()


asyncio.run(main())
