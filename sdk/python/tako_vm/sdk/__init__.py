"""Tako VM's client under its name of there: from tako_vm.sdk import TakoVM."""

from . import client
from .client import *  # noqa: F403  the same names; tests hold the list against the contract

__all__ = client.__all__
