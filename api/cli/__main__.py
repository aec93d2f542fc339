"""`python -m api.cli`: the same as `homerow`."""

from api.cli import main

main()
