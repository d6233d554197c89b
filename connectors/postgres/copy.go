package postgres

import (
	"bytes"
	"errors"
)

// errCopy says that a line of COPY does not have the columns that were asked for.
var errCopy = errors.New("malformed COPY line")

// splitCopy splits a line of COPY's text format (PostgreSQL documentation, "COPY", "Text Format") into cells:
// columns stand between tabs, \N is null, and a backslash begins an escape. Texts share line, or scratch if they had
// escapes in them.
func splitCopy(line []byte, cells []cell, scratch []byte) ([]cell, []byte) {
	cells, scratch = cells[:0], scratch[:0]
	line = bytes.TrimSuffix(line, []byte{'\n'})
	plain := bytes.IndexByte(line, '\\') < 0
	for more := true; more; {
		var field []byte
		if i := bytes.IndexByte(line, '\t'); i >= 0 {
			field, line = line[:i:i], line[i+1:]
		} else {
			field, more = line, false
		}
		switch {
		case plain || bytes.IndexByte(field, '\\') < 0:
			cells = append(cells, cell{kind: cellText, text: field})
		case len(field) == 2 && field[1] == 'N':
			cells = append(cells, cell{kind: cellNull})
		default:
			at := len(scratch)
			scratch = unescapeCopy(scratch, field)
			cells = append(cells, cell{kind: cellText, text: scratch[at:len(scratch):len(scratch)]})
		}
	}
	return cells, scratch
}

// unescapeCopy appends a column without its escapes. The server writes \b \f \n \r \t \v and \\ only; what follows
// any other backslash stands for itself.
func unescapeCopy(dst, field []byte) []byte {
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c != '\\' || i+1 == len(field) {
			dst = append(dst, c)
			continue
		}
		i++
		switch field[i] {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'v':
			c = '\v'
		default:
			c = field[i]
		}
		dst = append(dst, c)
	}
	return dst
}
