# SPDX-License-Identifier: Apache-2.0
#
# The rules of check-includes, which runs this with the files' paths from the project root.

BEGIN {
	# By rising rank: a file includes its own rank and those below.
	split("vmm/core devices virtio arch boot vmm examples", layers, " ")
	for (rank in layers)
		rank_of[layers[rank]] = rank + 0
	backends = "^virtio/(tap|user|fd)([._]|$)"
	word = "(^|[^A-Za-z0-9_.>])"
}

function offence(line, text) {
	printf "%s:%d: %s\n", FILENAME, line, text
	bad = 1
}

function layer(path) {
	if (path ~ /^vmm\/core\//)
		return "vmm/core"
	sub(/\/.*/, "", path)
	return path
}

# What a file is one kind of: a datapath, or a net backend (which may have several files, tap.c and
# tap_info.c); "" for all others.
function implementation(path) {
	if (path ~ /^virtio\/datapath_/)
		sub(/\.[ch]$/, "", path)
	else if (path ~ backends)
		sub(/[._].*$/, "", path)
	else
		return ""
	return path
}

# The line without comments, strings and character constants (a comment may go on).
function code(line,    out, at, two) {
	out = ""
	while (line != "") {
		if (in_comment) {
			at = index(line, "*/")
			if (!at)
				return out
			line = substr(line, at + 2)
			in_comment = 0
		} else if (match(line, /\/\/|\/\*|"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/)) {
			two = substr(line, RSTART, 2)
			out = out substr(line, 1, RSTART - 1) " "
			if (two == "//")
				return out
			in_comment = two == "/*"
			line = substr(line, RSTART + (in_comment ? 2 : RLENGTH))
		} else {
			return out line
		}
	}
	return out
}

function check_include(path,    from, to, kind, other) {
	from = layer(FILENAME)
	to = layer(path)
	if (!(to in rank_of) || path !~ /\//) {
		offence(FNR, "\"" path "\": not written from the project root, or not of a layer")
		return
	}
	if (rank_of[to] > rank_of[from])
		offence(FNR, from " includes " to ", which is above it: \"" path "\"")
	kind = implementation(FILENAME)
	other = implementation(path)
	if (kind != "" && other != "" && kind != other)
		offence(FNR, "siblings: " kind " includes \"" path "\"")
}

# A statement may have several lines: it is looked at when it is whole.
function check_statement(    core) {
	core = FILENAME ~ /^(vmm\/core|arch)\//
	if (!core && statement ~ /(^|[^A-Za-z0-9_])kvm_ioctl[ \t]*\(/)
		offence(started, "KVM ioctl outside vmm/core and arch/")
	else if (!core && statement ~ /(^|[^A-Za-z0-9_])ioctl[ \t]*\(.*[^A-Za-z0-9_]KVM_[A-Z0-9_]+/)
		offence(started, "KVM ioctl outside vmm/core and arch/")
	if (FILENAME != "vmm/main.c" && layer(FILENAME) != "examples" &&
	    statement ~ (word "(_?exit|_Exit|quick_exit)[ \t]*\\("))
		offence(started, "exit() outside vmm/main.c")
	if (statement ~ /__attribute__[ \t]*\(.*[^A-Za-z0-9_](__)?(constructor|destructor|section)(__)?[^A-Za-z0-9_]/)
		offence(started, "a constructor or linker section")
	statement = ""
}

FNR == 1 {
	in_comment = 0
	statement = ""
	if (!(layer(FILENAME) in rank_of))
		offence(1, "in no layer of DESIGN.md")
}

!in_comment && /^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	check_include(quoted[2])
	next
}

!in_comment && /^[ \t]*#[ \t]*include[ \t]*<(vmm|boot|arch|virtio|devices|examples|tests)\// {
	offence(FNR, "a header of the project in <>")
}

{
	text = code($0)
	if (text ~ /^[ \t]*$/)
		next
	if (statement == "")
		started = FNR
	statement = statement " " text
	if (text ~ /[;{}]/ || text ~ /^[ \t]*#.*[^\\]$/)
		check_statement()
}

END {
	exit bad
}
