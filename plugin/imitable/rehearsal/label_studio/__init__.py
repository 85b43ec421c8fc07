"""A real Label Studio on this machine, for trying out: installed apart, started, stopped, with accounts to play."""

from imitable.rehearsal.label_studio.accounts import Account
from imitable.rehearsal.label_studio.installing import VERSION, Installation
from imitable.rehearsal.label_studio.server import Server, data_folder, down, up

__all__ = ["VERSION", "Account", "Installation", "Server", "data_folder", "down", "up"]
