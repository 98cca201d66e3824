#!/usr/bin/python3
"""Compares our declarations of a binary interface with the vendor's own header, where that is installed.

    compare_abi.py --compiler=CC --include=SRC_DIR [--prototypes=API_H] OUR_HEADER VENDOR_HEADER_NAME

OUR_HEADER is relative to SRC_DIR. From it come the names: every enumerator, every #define of a plain number,
every structure and union with every field. Two small C programs print sizes, offsets and values, one
built with our header and one with the vendor's, and what they print must be equal. With --prototypes, so
must be the parameter types of every function that API_H declares.

Exit status: 0 equal, 1 not, 77 (Meson's word for skipped) where the vendor's header is not installed."""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile

SKIPPED = 77


def without_comments(text):
    return re.sub(r"//[^\n]*", " ", re.sub(r"/\*.*?\*/", " ", text, flags=re.S))


def source_with_includes(path, root):
    """The text of a header of ours and of those it includes from our tree, in front."""
    with open(path, encoding="utf-8") as file:
        text = without_comments(file.read())
    included = ""
    for name in re.findall(r'#include "([^"]+)"', text):
        inner = os.path.join(root, name)
        if os.path.exists(inner):
            included += source_with_includes(inner, root)
    return included + text


def matching_brace(text, start):
    depth = 0
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError("a brace is not closed")


def declarator_name(text):
    """`const void *srcHost` and `int maxGridSize[3]` name srcHost and maxGridSize."""
    found = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", text.strip())
    return found.group(1) if found else None


def fields(body, prefix=""):
    """Paths of the fields of a structure's body, those of named inner structures included."""
    paths = []
    position = 0
    while position < len(body):
        brace, end = body.find("{", position), body.find(";", position)
        if end < 0:
            break
        if 0 <= brace < end:
            close = matching_brace(body, brace)
            end = body.index(";", close)
            name = declarator_name(body[close + 1:end])
            if name:
                paths.append(prefix + name)
            paths += fields(body[brace + 1:close], prefix + name + "." if name else prefix)
        else:
            for part in body[position:end].split(","):
                name = declarator_name(part)
                if name and name != "reserved":
                    paths.append(prefix + name)
        position = end + 1
    return paths


def names_in(text):
    """(constants, {type: field paths}) that a header declares."""
    constants, types = [], {}
    for found in re.finditer(r"^[ \t]*#define[ \t]+([A-Z]\w+)[ \t]+\(?(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\)?[ \t]*$",
                             text, flags=re.M):
        constants.append(found.group(1))
    for found in re.finditer(r"typedef\s+(struct|union|enum)\s*\w*\s*{", text):
        open_brace = found.end() - 1
        close = matching_brace(text, open_brace)
        body = text[open_brace + 1:close]
        name = re.match(r"\s*(\w+)\s*;", text[close + 1:]).group(1)
        if found.group(1) == "enum":
            constants += [entry.split("=")[0].strip() for entry in body.split(",") if entry.strip()]
            types[name] = []
        else:
            types[name] = fields(body)
    return constants, types


def program(include_line, constants, types):
    lines = [include_line, "#include <stddef.h>", "#include <stdio.h>", "int main(void)", "{"]
    for name in constants:
        lines.append(f'    printf("{name} = %lld\\n", (long long)({name}));')
    for name, paths in types.items():
        lines.append(f'    printf("sizeof({name}) = %zu\\n", sizeof({name}));')
        for path in paths:
            lines.append(f'    printf("{name}.{path} at %zu of %zu bytes\\n", offsetof({name}, {path}), '
                         f"sizeof((({name} *)0)->{path}));")
    return "\n".join(lines + ["    return 0;", "}", ""])


def output_of(compiler, arguments, text, folder, label):
    source, binary = os.path.join(folder, label + ".c"), os.path.join(folder, label)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run(compiler + arguments + ["-w", "-o", binary, source], check=True)
    return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()


def normal_type(text):
    """A parameter's type without its name, and without what differs only in spelling."""
    text = re.sub(r"\b(struct|enum|union|extern)\b", " ", text)
    text = re.sub(r"\b(\w+?)_(?:st|enum|union|v\d+)\b", r"\1", text)
    text = re.sub(r"\bcuuint32_t\b|\buint32_t\b", "unsigned int", text)
    text = re.sub(r"\bcuuint64_t\b|\buint64_t\b|\bunsigned long long int\b", "unsigned long long", text)
    text = re.sub(r"\[[^]]*\]", " *", text)
    tokens = re.findall(r"\w+|\*", text)
    base = [token for token in tokens if token != "*" and token != "const"]
    known = {"unsigned", "signed", "int", "char", "short", "long", "float", "double", "void", "size_t"}
    if len(base) > 1 and base[-1] not in known:
        del tokens[len(tokens) - 1 - tokens[::-1].index(base[-1])]
    if "unsigned" in tokens and not {"int", "char", "short", "long"} & set(tokens):
        tokens.insert(tokens.index("unsigned") + 1, "int")
    return " ".join(tokens)


def prototypes(compiler, arguments, include_line, folder, label):
    """{function: [parameter types]} that a header declares, as the preprocessor leaves them."""
    source = os.path.join(folder, label + ".c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(include_line + "\n")
    text = subprocess.run(compiler + arguments + ["-E", "-P", source], check=True, capture_output=True,
                          text=True).stdout
    found = {}
    for name, parameters in re.findall(r"\bCUresult\s+(cu\w+)\s*\(((?:[^()]|\([^()]*\))*)\)\s*(?:__attribute__[^;]*)?;", text):
        types = [normal_type(part) for part in parameters.split(",")]
        found[name] = [] if types == ["void"] else types
    return found


def vendor_folder(name):
    homes = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda", "/usr"]
    for home in homes:
        folder = os.path.join(home, "include")
        if home and os.path.exists(os.path.join(folder, name)):
            return folder
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--include", required=True)
    parser.add_argument("--prototypes")
    parser.add_argument("ours")
    parser.add_argument("vendors")
    options = parser.parse_args()
    folder_of_vendor = vendor_folder(options.vendors)
    if folder_of_vendor is None:
        print(f"{options.vendors} is not installed here: nothing to compare with")
        return SKIPPED

    compiler = shlex.split(options.compiler)
    our_arguments, vendor_arguments = ["-I", options.include], ["-I", folder_of_vendor]
    our_line, vendor_line = f'#include "{options.ours}"', f"#include <{options.vendors}>"
    constants, types = names_in(source_with_includes(os.path.join(options.include, options.ours),
                                                     options.include))
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        ours = output_of(compiler, our_arguments, program(our_line, constants, types), folder, "ours")
        theirs = output_of(compiler, vendor_arguments, program(vendor_line, constants, types), folder, "vendor")
        differences += [f"ours: {a}\n      {options.vendors}: {b}" for a, b in zip(ours, theirs) if a != b]
        compared = 0
        if options.prototypes:
            api = os.path.abspath(options.prototypes)
            mine = prototypes(compiler, our_arguments, f'#include "{api}"', folder, "our_api")
            other = prototypes(compiler, vendor_arguments, vendor_line, folder, "vendor_api")
            for name in sorted(mine.keys() & other.keys()):
                compared += 1
                if mine[name] != other[name]:
                    differences.append(f"{name}: ours {mine[name]}\n      {options.vendors} {other[name]}")
            if not compared:
                differences.append(f"no function of {api} was found in {options.vendors}")
    for difference in differences:
        print("differs:", difference)
    print(f"{len(ours)} sizes, offsets and values and {compared} prototypes compared with "
          f"{folder_of_vendor}/{options.vendors}: {len(differences)} differ")
    return 1 if differences or not ours else 0


if __name__ == "__main__":
    sys.exit(main())
