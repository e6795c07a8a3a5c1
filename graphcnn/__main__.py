"""`python -m graphcnn`: see `graphcnn.cli`."""

from graphcnn.cli import main

if __name__ == "__main__":
    main()
