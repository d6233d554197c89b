package filestream

import "bytes"

// nextLine cuts the first line off buf. It returns the line without its end, the number of bytes that it takes with
// its end, and whether there is a whole line. A line ends with LF, CRLF or CR, as in Connect; a CR that is the last
// byte so far may be half of a CRLF, so it does not end a line yet.
func nextLine(buf []byte) (line []byte, size int, ok bool) {
	lf := bytes.IndexByte(buf, '\n')
	head := buf
	if lf >= 0 {
		head = buf[:lf]
	}
	if cr := bytes.IndexByte(head, '\r'); cr >= 0 && cr+1 < len(buf) {
		if buf[cr+1] == '\n' {
			return buf[:cr], cr + 2, true
		}
		return buf[:cr], cr + 1, true
	}
	if lf < 0 {
		return nil, 0, false
	}
	return buf[:lf], lf + 1, true
}
