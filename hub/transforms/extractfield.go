package transforms

import (
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func extractFieldDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "field", Type: configs.String, Required: true, Importance: configs.Medium, Doc: "The field that becomes the whole key or value."},
		{Name: "field.syntax.version", Type: configs.String, Default: "V1", Enum: []string{"V1", "V2"}, Importance: configs.High,
			Doc: "V2: dots in field lead into nested structs; backticks keep a dot that belongs to a name."},
		replaceNull()}}
}

// extractField makes one field the whole key or value. Null passes.
type extractField struct {
	at       side
	path     []string
	defaults bool
	arena    *arena
	split    splitter
	object   object
}

func newExtractField(v configs.Values, at side, a *arena) (transform, error) {
	t := &extractField{at: at, path: []string{v.String("field")}, defaults: v.Bool("replace.null.with.default"), arena: a}
	if v.String("field.syntax.version") == "V2" {
		var err error
		if t.path, err = fieldPath(v.String("field")); err != nil {
			return nil, fmt.Errorf("field: %w", err)
		}
	}
	return t, nil
}

// fieldPath splits a.`b.c`.d. A backtick within backticks is written with a backslash before it.
func fieldPath(text string) (path []string, err error) {
	for {
		if !strings.HasPrefix(text, "`") {
			name, rest, more := strings.Cut(text, ".")
			path = append(path, name)
			if !more {
				return path, nil
			}
			text = rest
			continue
		}
		end := 1
		for ; end < len(text); end++ {
			if text[end] == '`' && text[end-1] != '\\' && (end+1 == len(text) || text[end+1] == '.') {
				break
			}
		}
		if end == len(text) {
			return nil, fmt.Errorf("a backtick is not closed in %s", text)
		}
		path = append(path, strings.ReplaceAll(text[1:end], "\\`", "`"))
		if text = text[end+1:]; text == "" {
			return path, nil
		}
		text = text[1:]
	}
}

func (t *extractField) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	for i, name := range t.path {
		if isNull(*d) {
			*d = connectors.Data{}
			return true, nil
		}
		if d.Schema == nil {
			if err := t.object.parse(*d); err != nil {
				return false, err
			}
			*d = schemaless(t.object.get(name))
			continue
		}
		index := d.Schema.FieldIndex(name)
		if index < 0 {
			return false, fmt.Errorf("there is no field %s", strings.Join(t.path[:i+1], "."))
		}
		if err := t.descend(d, index); err != nil {
			return false, err
		}
	}
	return true, nil
}

// descend makes d its field.
func (t *extractField) descend(d *connectors.Data, index int) error {
	raws, err := t.split.fields(*d)
	if err != nil {
		return err
	}
	s, raw := d.Schema.Fields[index].Schema, raws[index]
	*d = connectors.Data{Schema: s, Bytes: raw}
	if t.defaults && s.Default != nil && isNull(*d) {
		*d, err = encode(t.arena, s, *s.Default)
	}
	return err
}
