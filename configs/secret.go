package configs

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is what is printed in place of a secret.
const Mask = "********"

// HiddenValue is what Connect's REST API answers in place of a password, as Kafka does.
const HiddenValue = "[hidden]"

// Secret is a text that does not print: neither with fmt in any verb, nor in JSON or other texts, nor in slog, nor
// from inside another struct. Only Reveal gives it. The zero Secret is empty.
type Secret struct {
	text *string // behind a pointer: fmt follows no pointers inside a struct it prints by reflection
}

// NewSecret returns the secret with that text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Do not log it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == nil }

// String returns Mask, also if the secret is empty.
func (s Secret) String() string { return Mask }

// GoString returns Mask.
func (s Secret) GoString() string { return Mask }

// Format prints Mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, Mask) }

// MarshalText returns Mask; so JSON and other encodings get it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns Mask for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Mask) }
