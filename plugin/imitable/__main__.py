"""`python -m imitable`, for where the script is not on the path."""

from imitable.cli import main

main()
