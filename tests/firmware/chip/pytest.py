"""The part of pytest the tests use."""


class Cases:
    """A test with the values it is to be called with."""

    def __init__(self, test, names, values):
        self.test, self.names, self.values = test, names, values

    def all(self):
        """Calls with every combination."""
        inner = [(self.test, {})]
        if isinstance(self.test, Cases):
            inner = list(self.test.all())
        for value in self.values:
            given = {self.names[0]: value}
            if len(self.names) > 1:
                given = {self.names[i]: value[i] for i in range(len(self.names))}
            for test, more in inner:
                call = dict(given)
                call.update(more)
                yield test, call


class mark:
    """Where the marks are."""

    @staticmethod
    def parametrize(names, values):
        names = [names] if isinstance(names, str) else list(names)
        return lambda test: Cases(test, names, list(values))


class raises:
    """Expect an exception."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        assert kind is not None, "did not raise"
        return issubclass(kind, self.kind)


def fail(why):
    """Fail."""
    raise AssertionError(why)
