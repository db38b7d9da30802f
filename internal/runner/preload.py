# Run by the interpreter of a sandbox that is to be saved, before it looks for
# its script. Nothing of it is to be found afterwards: not its file, not a name.
def preload(names):
    import gc
    import os
    import sys

    os.unlink("/app/.tako-preload")
    # What modules say when they are imported is no part of any job's output.
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        for name in names:
            __import__(name)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os._exit(70)  # the sandbox is not saved, or not used
    for fd, copy in enumerate(kept, 1):
        os.dup2(copy, fd)
        os.close(copy)

    # What is there by now stays to the end. Looking through it for garbage, which
    # Python does when it ends, would take longer than most jobs.
    gc.collect()
    gc.freeze()

    # Every clone has the state of now. The script's first line is the first
    # moment at which this one is itself, and can have a state of its own.
    def renew():
        modules = sys.modules
        if "random" in modules:
            modules["random"].seed()
        if "numpy.random" in modules:
            modules["numpy.random"].seed()
        if "tempfile" in modules:
            modules["tempfile"]._name_sequence = None
        if "uuid" in modules:
            modules["uuid"]._last_timestamp = modules["uuid"]._node = None
        if "multiprocessing.process" in modules:
            modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
        if "_ssl" in modules:
            modules["_ssl"].RAND_add(os.urandom(48), 48.0)

    def begins(frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__":
            sys.setprofile(None)
            renew()

    sys.setprofile(begins)


preload([...])
del preload
