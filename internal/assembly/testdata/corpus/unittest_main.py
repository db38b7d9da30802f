import sys
import unittest

class Test(unittest.TestCase):
    def test_good(self): self.assertEqual(1, 1)
    def test_bad(self): self.assertEqual({'a': 1}, {'a': 2})
    def test_error(self): raise LookupError('here')
    @unittest.skip('why not')
    def test_skipped(self): pass
    def test_sub(self):
        for i in range(2):
            with self.subTest(i=i): self.assertNotEqual(i, 1)

class NoTime(unittest.TextTestRunner):
    def run(self, test):
        import time
        time.perf_counter = lambda: 0.0
        return super().run(test)

unittest.main(testRunner=NoTime, verbosity=2)
