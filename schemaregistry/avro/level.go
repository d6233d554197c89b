package avro

import (
	"fmt"
	"strings"
)

// Level says which earlier versions a new schema must get on with, and how.
type Level string

// The levels, in the registry's spelling. BACKWARD: the new schema reads what the old one wrote. FORWARD: the old one
// reads what the new one writes. FULL is both. Only the newest earlier version counts, or all with _TRANSITIVE.
const (
	None               Level = "NONE"
	Backward           Level = "BACKWARD"
	BackwardTransitive Level = "BACKWARD_TRANSITIVE"
	Forward            Level = "FORWARD"
	ForwardTransitive  Level = "FORWARD_TRANSITIVE"
	Full               Level = "FULL"
	FullTransitive     Level = "FULL_TRANSITIVE"
)

// ParseLevel returns the level of that name, in upper or lower case.
func ParseLevel(name string) (Level, error) {
	switch l := Level(strings.ToUpper(name)); l {
	case None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive:
		return l, nil
	}
	return "", fmt.Errorf("%q is no compatibility level: they are NONE, BACKWARD, FORWARD and FULL, and the last three with _TRANSITIVE", name)
}

// Version is one earlier version of a schema.
type Version struct {
	Number int // 0: unknown
	Text   string
	Schema *Schema
}

// maxOldSchema is how much of the text of an old schema is in a message.
const maxOldSchema = 10 << 10

// Compatible returns why s may not follow earlier, newest first, in the words of Confluent's registry: a message for
// each incompatibility with the first version that has any, and what that version was. It is nil if s may follow.
func (l Level) Compatible(s *Schema, earlier []Version) []string {
	if l == None {
		return nil
	}
	direction, transitive := strings.CutSuffix(string(l), "_TRANSITIVE")
	if !transitive && len(earlier) > 1 {
		earlier = earlier[:1]
	}
	for _, old := range earlier {
		var messages []string
		if direction != string(Backward) {
			messages = explain(old.Schema, s, "old", "new")
		}
		if direction != string(Forward) {
			backward := explain(s, old.Schema, "new", "old")
			messages = append(messages, backward...)
			if direction == string(Full) && len(backward) == 0 && len(messages) > 0 {
				return messages // as there: the old schema is shown with the backward direction only
			}
		}
		if len(messages) > 0 {
			return append(messages, describeOld(old)...)
		}
	}
	return nil
}

func explain(reader, writer *Schema, readerIs, writerIs string) []string {
	found, err := CanRead(reader, writer)
	if err != nil {
		return []string{"Unexpected exception during compatibility check: " + err.Error()}
	}
	var messages []string
	for _, i := range found {
		messages = append(messages, i.Describe(readerIs, writerIs))
	}
	return messages
}

func describeOld(old Version) []string {
	var messages []string
	if old.Number > 0 {
		messages = append(messages, fmt.Sprintf("{oldSchemaVersion: %d}", old.Number))
	}
	if len(old.Text) > maxOldSchema {
		return append(messages, fmt.Sprintf("{oldSchema: <truncated to %d characters> '%s'}", maxOldSchema, strings.ToValidUTF8(old.Text[:maxOldSchema], "")))
	}
	return append(messages, "{oldSchema: '"+old.Text+"'}")
}
