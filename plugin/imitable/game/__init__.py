"""The game: commit, then reveal. Doors and players import its modules; what the rooms above use stands here."""

from imitable.game.play import Game
from imitable.game.sessions import Link, make_links

__all__ = ["Game", "Link", "make_links"]
