import asyncio
import contextvars
import signal

async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0.001)
        yield i

async def slow():
    try: await asyncio.sleep(10)
    except asyncio.CancelledError: print('cancelled'); raise

async def main():
    loop = asyncio.get_running_loop()
    print(type(loop).__name__, type(loop._selector).__name__, loop.get_debug())
    print([i async for i in ticks(3)], await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(lambda: 2)))
    try:
        async with asyncio.timeout(0.01): await slow()
    except TimeoutError as e: print(repr(e))
    try:
        async with asyncio.TaskGroup() as g:
            g.create_task(slow()); g.create_task(asyncio.sleep(-1, 1 / 1)); raise KeyError('in a group')
    except* KeyError as e: print(repr(e))
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, done.set)
    signal.raise_signal(signal.SIGUSR1)
    await done.wait()
    async def serve(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    s = await asyncio.start_server(serve, '127.0.0.1', 0)
    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
    w.write(b'hello\n'); print(await r.read()); w.close(); s.close()
    for cmd in (['/bin/sh', '-c', 'cat; echo err >&2; exit 3'],):
        p = await asyncio.create_subprocess_exec(*cmd, stdin=-1, stdout=-1, stderr=-1)
        print(await p.communicate(b'input'), p.returncode)
    p = await asyncio.create_subprocess_shell('sleep 60'); p.terminate(); print(await p.wait())
    raise ArithmeticError('the end')

asyncio.run(main())
