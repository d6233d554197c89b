package avro

import "strconv"

// ParsingForm returns the Parsing Canonical Form of s (Avro 1.12, "Transforming into Parsing Canonical Form"): full
// names, nothing that does not matter for reading data, no spaces.
func (s *Schema) ParsingForm() string {
	return string(appendParsingForm(nil, s, make(map[string]bool)))
}

func appendParsingForm(dst []byte, s *Schema, defined map[string]bool) []byte {
	switch s.Type {
	case Union:
		dst = append(dst, '[')
		for i, b := range s.Branches {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendParsingForm(dst, b, defined)
		}
		return append(dst, ']')
	case Array, Map:
		dst = append(dst, `{"type":"`+s.Type.String()+`","`+elemMember(s)+`":`...)
		return append(appendParsingForm(dst, s.Elem, defined), '}')
	case Record, Enum, Fixed:
		return appendNamedForm(dst, s, defined)
	}
	return appendQuoted(dst, s.Type.String())
}

func appendNamedForm(dst []byte, s *Schema, defined map[string]bool) []byte {
	if defined[s.Name] {
		return appendQuoted(dst, s.Name)
	}
	defined[s.Name] = true
	dst = appendQuoted(append(dst, `{"name":`...), s.Name)
	dst = append(dst, `,"type":"`+s.Type.String()+`"`...)
	switch s.Type {
	case Fixed:
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(s.Size), 10)
	case Enum:
		dst = append(dst, `,"symbols":[`...)
		for i, symbol := range s.Symbols {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, symbol)
		}
		dst = append(dst, ']')
	case Record:
		dst = append(dst, `,"fields":[`...)
		for i := range s.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(append(dst, `{"name":`...), s.Fields[i].Name)
			dst = append(dst, `,"type":`...)
			dst = append(appendParsingForm(dst, s.Fields[i].Schema, defined), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// Fingerprint returns the CRC-64-AVRO of the Parsing Canonical Form, the Rabin fingerprint that Avro's single-object
// encoding carries (in little endian there).
func (s *Schema) Fingerprint() uint64 {
	const empty = 0xc15d213aa4d7a795
	fp := uint64(empty)
	for _, c := range []byte(s.ParsingForm()) {
		fp ^= uint64(c)
		for range 8 {
			fp = fp>>1 ^ empty&-(fp&1)
		}
	}
	return fp
}
