import os


class Store:
    """Files under one directory, by name; names may have folders."""

    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        name = name.replace("../", "")
        return os.path.join(self.directory, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()
