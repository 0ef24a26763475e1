import os


class Store:
    """Files under one directory, by name; names may have folders."""

    def __init__(self, directory):
        self.directory = os.path.realpath(directory)

    def path(self, name):
        if not name or "\0" in name:
            raise ValueError("a file needs a name")
        path = os.path.realpath(os.path.join(self.directory, name))
        if os.path.commonpath([self.directory, path]) != self.directory or path == self.directory:
            raise ValueError("the name leads out of the store")
        return path

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()
