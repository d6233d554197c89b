package schemaregistry

import (
	"fmt"
	"maps"
	"slices"
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

// direction is the level without how many versions it counts, and whether it counts all.
func (l Level) direction() (direction Level, transitive bool) {
	d, transitive := strings.CutSuffix(string(l), "_TRANSITIVE")
	return Level(d), transitive
}

// maxOldSchema is how much of the text of an old schema is in a message.
const maxOldSchema = 10 << 10

// policy is what compatibility is measured by.
type policy struct {
	level     Level
	lenient   bool // JSON Schema: what adds to an open content model counts as compatible
	validated bool // validateFields, which the messages repeat
}

// verdict returns why the schema may not follow the versions by the configuration of their subject; nil if it may.
func (s *state) verdict(config configValue, next *candidate, versions []*version) []string {
	p := config.policy()
	explained := s.explain(p, next, config.group(next, versions))
	if !p.validated || next.kind != kindAvro { // the other languages compare these names themselves
		return explained
	}
	var before *metadata
	if n := len(versions); n > 0 {
		before = versions[n-1].schema.metadata
	}
	messages := reserved(next.kind, next.doc, next.metadata, before, "new")
	if len(messages) > 0 && len(explained) == 0 {
		explained = []string{p.String()}
	}
	return append(messages, explained...)
}

// String is what messages say about it.
func (p policy) String() string {
	return fmt.Sprintf("{validateFields: '%t', compatibility: '%s'}", p.validated, p.level)
}

// explain returns why the schema may not follow the versions, which are ascending, in Confluent's words: a message for
// each difference to the newest version that has any, and what that version was. It is nil if the schema may follow.
// What cannot be compared is not compatible.
func (s *state) explain(p policy, next *candidate, versions []*version) []string {
	direction, transitive := p.level.direction()
	if direction == None {
		return nil
	}
	if len(versions) > 1 && !transitive {
		versions = versions[len(versions)-1:]
	}
	for _, v := range slices.Backward(versions) {
		if messages := s.explainOne(p, direction, next, v); len(messages) > 0 {
			return append(messages, p.String())
		}
	}
	return nil
}

func (s *state) explainOne(p policy, direction Level, next *candidate, v *version) []string {
	if v.schema.kind != next.kind {
		return []string{"Incompatible because of different schema type"}
	}
	old, err := s.document(v.schema)
	if err != nil {
		return []string{fmt.Sprintf("Version %d cannot be compared: %v", v.number, err)}
	}
	var messages []string
	if direction != Backward {
		messages = old.explain(next.doc, p.lenient, "old", "new")
		if next.kind != kindAvro {
			messages = append(reserved(next.kind, old, v.schema.metadata, next.metadata, "old"), messages...)
		}
	}
	if direction != Forward {
		backward := next.doc.explain(old, p.lenient, "new", "old")
		if next.kind != kindAvro {
			backward = append(reserved(next.kind, next.doc, next.metadata, v.schema.metadata, "new"), backward...)
		}
		messages = append(messages, backward...)
		if direction == Full && len(backward) == 0 && len(messages) > 0 {
			return messages // as there: the old schema is shown with the backward direction only
		}
	}
	if len(messages) == 0 {
		return nil
	}
	return append(messages, describeOld(v.number, v.schema.text)...)
}

// reserved returns why the names that the reader's metadata keeps for others do not allow it to follow the writer's: a
// name that is not kept any more, or that of a field.
func reserved(kind string, reader document, meta, writer *metadata, readerIs string) []string {
	removed, conflict := "RESERVED_FIELD_REMOVED", "FIELD_CONFLICTS_WITH_RESERVED_FIELD"
	if kind == kindJSON {
		removed, conflict = "RESERVED_PROPERTY_REMOVED", "RESERVED_PROPERTY_CONFLICTS_WITH_PROPERTY"
	}
	var messages []string
	now := reservedNames(meta)
	for _, name := range slices.Sorted(maps.Keys(reservedNames(writer))) {
		if !now[name] {
			messages = append(messages, fmt.Sprintf(`{errorType:"%s", description:"The %s schema does not reserve '%s' any more"}`, removed, readerIs, name))
		}
	}
	if len(now) == 0 {
		return messages
	}
	for _, name := range reader.fields() {
		if now[name] {
			messages = append(messages, fmt.Sprintf(`{errorType:"%s", description:"The %s schema has the field '%s', whose name is reserved"}`, conflict, readerIs, name))
		}
	}
	return messages
}

func describeOld(number int, text string) []string {
	is := fmt.Sprintf("{oldSchemaVersion: %d}", number)
	if len(text) > maxOldSchema {
		return []string{is, fmt.Sprintf("{oldSchema: <truncated to %d characters> '%s'}", maxOldSchema, strings.ToValidUTF8(text[:maxOldSchema], ""))}
	}
	return []string{is, "{oldSchema: '" + text + "'}"}
}
