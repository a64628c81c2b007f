#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write all hostile archives, their twins and table.json into a folder: make.py FOLDER"""
import os
import sys

import cases_archive
import cases_json
import cases_layout
import cases_tar
from table import Table


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make.py FOLDER")
    os.makedirs(sys.argv[1], exist_ok=True)
    table = Table(sys.argv[1])
    for cases in (cases_archive, cases_tar, cases_json, cases_layout):
        cases.add_all(table)
    table.save()


if __name__ == "__main__":
    main()
