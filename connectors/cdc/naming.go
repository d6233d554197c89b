package cdc

import (
	"fmt"
	"strings"
)

// Naming makes the names of topics, schemas and fields.
type Naming struct {
	Prefix    string
	Delimiter string // "." unless topic.delimiter says otherwise
	Schemas   Adjustment
	Fields    Adjustment
}

// maxTopic is the longest name that Kafka allows.
const maxTopic = 249

// Topic returns the topic of the parts behind the prefix: prefix.schema.table. What Kafka does not allow in a
// topic's name becomes an underscore, as Java counts characters: two for one beyond the basic plane.
func (n Naming) Topic(parts ...string) string {
	name := n.Prefix + n.Delimiter + strings.Join(parts, n.Delimiter)
	out := make([]byte, 0, len(name))
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-':
			out = append(out, byte(c))
		case c > 0xffff:
			out = append(out, "__"...)
		default:
			out = append(out, '_')
		}
	}
	return string(out[:min(len(out), maxTopic)])
}

// Adjustment is the value of schema.name.adjustment.mode and field.name.adjustment.mode: how a name is made one that
// Avro allows.
type Adjustment string

// The modes.
const (
	AsItIs      Adjustment = "none"
	Avro        Adjustment = "avro"
	AvroUnicode Adjustment = "avro_unicode"
)

// Adjustments lists the modes, for a definition's Enum.
func Adjustments() []string { return []string{string(AsItIs), string(Avro), string(AvroUnicode)} }

// Schema adjusts a full schema name: dots stay.
func (a Adjustment) Schema(name string) string {
	if a == AsItIs || a == "" {
		return name
	}
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = a.Field(p)
	}
	return strings.Join(parts, ".")
}

// Field adjusts the name of a field.
func (a Adjustment) Field(name string) string {
	if a == AsItIs || a == "" {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' && a == Avro
		digit := r >= '0' && r <= '9'
		switch {
		case letter || digit && i > 0:
			b.WriteRune(r)
		case a == Avro && digit: // at the start
			b.WriteByte('_')
			b.WriteRune(r)
		case a == Avro:
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "_u%04x", r)
		}
	}
	return b.String()
}
