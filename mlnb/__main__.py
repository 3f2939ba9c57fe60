"""`python -m mlnb`: the command line."""

from mlnb.cli import main

if __name__ == "__main__":
    main()
