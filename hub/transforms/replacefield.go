package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// replaceNull declares the key that most of Kafka's transforms have since 3.9.
func replaceNull() configs.Key {
	return configs.Key{Name: "replace.null.with.default", Type: configs.Boolean, Default: "true", Importance: configs.Medium,
		Doc: "Whether a null in a field that has a default becomes the default."}
}

func replaceFieldDefinition() *configs.Definition {
	list := func(name, alias, doc string) configs.Key {
		k := configs.Key{Name: name, Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Doc: doc}
		if alias != "" {
			k.Aliases = []string{alias}
		}
		return k
	}
	renames := list("renames", "", "Fields to rename, as old:new.")
	renames.Check = func(text string) error { _, err := parseRenames(names(text)); return err }
	return &configs.Definition{Keys: []configs.Key{
		list("exclude", "blacklist", "Fields to leave out. They win over include."),
		list("include", "whitelist", "Fields to keep; all, if it is empty."), renames, replaceNull()}}
}

func parseRenames(list []string) (map[string]string, error) {
	renames := map[string]string{}
	for _, item := range list {
		from, to, ok := strings.Cut(item, ":")
		if !ok || from == "" || to == "" || strings.Contains(to, ":") {
			return nil, fmt.Errorf("must be a list of old:new, and has %q", item)
		}
		renames[from] = to
	}
	return renames, nil
}

// replaceField leaves out and renames fields.
type replaceField struct {
	structs
	include, exclude []string
	renames          map[string]string
	defaults         bool
	// onlyOptional leaves out optional fields only; ExtractNewRecordState uses it.
	onlyOptional bool
	object       object
}

func newReplaceField(v configs.Values, at side, a *arena) (transform, error) {
	renames, err := parseRenames(v.List("renames"))
	if err != nil {
		return nil, fmt.Errorf("renames: %w", err)
	}
	return &replaceField{structs: structs{at: at, arena: a}, include: v.List("include"), exclude: v.List("exclude"),
		renames: renames, defaults: v.Bool("replace.null.with.default")}, nil
}

func (t *replaceField) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema != nil:
		return true, t.structs.apply(r, t.build)
	}
	if err := t.object.parse(*d); err != nil {
		return false, err
	}
	t.object.members = slices.DeleteFunc(t.object.members, func(m member) bool { return !t.keeps(m.name) })
	for i, m := range t.object.members {
		t.object.members[i].name = t.renamed(m.name)
	}
	*d = t.object.data(t.arena)
	return true, nil
}

func (t *replaceField) keeps(name string) bool {
	return !slices.Contains(t.exclude, name) && (len(t.include) == 0 || slices.Contains(t.include, name))
}

func (t *replaceField) renamed(name string) string {
	if to, ok := t.renames[name]; ok {
		return to
	}
	return name
}

func (t *replaceField) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	for i, f := range s.Fields {
		if !t.keeps(f.Name) && !(t.onlyOptional && !f.Schema.Optional) {
			continue
		}
		name := t.renamed(f.Name)
		if p.out.FieldIndex(name) >= 0 {
			return nil, fmt.Errorf("two fields would be called %s", name)
		}
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		p.out.Fields = append(p.out.Fields, connectors.Field{Name: name, Schema: f.Schema})
		p.ops = append(p.ops, o)
	}
	return p, nil
}
