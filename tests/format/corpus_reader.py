#!/usr/bin/env python3
"""corpus_reader.py - what the independent reader says of every corpus file, for corpus.sh

usage: corpus_reader.py READER_PY CORPUS_DIR
Prints one line per verdict (verify FILE CODE torn|whole TEXT) and per restored region (restore FILE ID SHA256), for
the files of VERDICTS.tsv and the snapshots of EXPECT.tsv.
"""
import hashlib
import importlib.util
import io
import os
import sys
import tempfile

sys.dont_write_bytecode = True


def load(path):
    spec = importlib.util.spec_from_file_location("reader", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(reader, function, *arguments):
    """Exit code and output, as the reader's own command gives them."""
    out = io.StringIO()
    try:
        return function(*arguments, out), out.getvalue()
    except reader.SvpError as error:
        return error.code, f"{out.getvalue()}{type(error).__name__}: {error}"


def rows(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]


def main():
    reader, corpus = load(sys.argv[1]), sys.argv[2]
    content = {}
    for name, *_ in rows(corpus, "VERDICTS.tsv"):
        content[name] = reader.load(os.path.join(corpus, name))
        code, text = call(reader, reader.cmd_verify, content[name])
        torn = "torn" if "\ntorn: " in "\n" + text else "whole"
        print("verify", name, code, torn, text.replace("\n", " "), sep="\t")
    for name, snapshot in dict.fromkeys((row[0], row[1]) for row in rows(corpus, "EXPECT.tsv")):
        with tempfile.TemporaryDirectory() as folder:
            code, text = call(reader, reader.cmd_restore, content[name], snapshot, folder)
            if code != 0:
                print("restore", name, snapshot, f"exit code {code}: {text}".replace("\n", " "), sep="\t")
            for region in sorted(os.listdir(folder)):
                with open(os.path.join(folder, region), "rb") as file:
                    print("restore", name, snapshot, hashlib.sha256(file.read()).hexdigest(), sep="\t")


main()
