package schemaregistry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model is what a registry should be, said as simply as possible. Its schemas are sets of fields of one record, of which
// c has a default; a schema may refer to a version.
type model struct {
	Subjects map[string][]modelVersion // by qualified name, ascending
	Next     map[string]int            // the next id, by context
	Levels   map[string]string
	Modes    map[string]string
}

type modelVersion struct {
	Number, ID int
	Schema     string // its identity
	Refers     string // "subject/version"
	Deleted    bool
}

func newModel() *model {
	return &model{map[string][]modelVersion{}, map[string]int{}, map[string]string{}, map[string]string{}}
}

func (m *model) clone() *model {
	c := newModel()
	for name, versions := range m.Subjects {
		c.Subjects[name] = slices.Clone(versions)
	}
	c.Next, c.Levels, c.Modes = maps.Clone(m.Next), maps.Clone(m.Levels), maps.Clone(m.Modes)
	return c
}

func live(versions []modelVersion) []modelVersion {
	return slices.DeleteFunc(slices.Clone(versions), func(v modelVersion) bool { return v.Deleted })
}

func (m *model) referred(subject string, number int, deletedToo bool, but string) bool {
	for name, versions := range m.Subjects {
		if name == but {
			continue
		}
		for _, v := range versions {
			if v.Refers != "" && (deletedToo || !v.Deleted) && joinSubject(contextOf(name), v.Refers) == fmt.Sprintf("%s/%d", subject, number) {
				return true
			}
		}
	}
	return false
}

// reads reports whether a schema reads what another wrote, by the rule of defaults.
func reads(reader, writer string) bool {
	for _, f := range reader {
		if f != 'c' && !strings.ContainsRune(writer, f) {
			return false
		}
	}
	return true
}

func (m *model) level(name string) string {
	if l := m.Levels[name]; l != "" {
		return l
	}
	return "BACKWARD"
}

func (m *model) mayFollow(name, schema, refers string) bool {
	versions := live(m.Subjects[name])
	if len(versions) == 0 || m.level(name) == "NONE" {
		return true
	}
	newest := versions[len(versions)-1]
	if (newest.Refers == "") != (refers == "") {
		return false // those that refer to others have another name
	}
	last := newest.Schema
	switch m.level(name) {
	case "FORWARD":
		return reads(last, schema)
	case "FULL":
		return reads(last, schema) && reads(schema, last)
	}
	return reads(schema, last)
}

func (m *model) register(name, schema, refers string) (int, any) {
	identity := schema + " " + refers
	for _, v := range live(m.Subjects[name]) {
		if v.Schema+" "+v.Refers == identity {
			return 200, v.ID
		}
	}
	to, number, _ := strings.Cut(refers, "/")
	target := m.Subjects[joinSubject(contextOf(name), to)]
	is := func(v modelVersion) bool { return fmt.Sprint(v.Number) == number }
	switch {
	case refers != "" && !slices.ContainsFunc(target, is):
		return 422, 42201
	case m.Modes[name] != "":
		return 422, 42205
	case refers != "" && !slices.ContainsFunc(live(target), is):
		return 422, 42201
	}
	if !m.mayFollow(name, schema, refers) {
		return 409, 409
	}
	added := modelVersion{Number: 1, Schema: schema, Refers: refers}
	for _, v := range m.Subjects[name] {
		added.Number = v.Number + 1
	}
	context := contextOf(name)
	for other, versions := range m.Subjects {
		for _, v := range versions {
			if contextOf(other) == context && v.Schema+" "+v.Refers == identity {
				added.ID = v.ID
			}
		}
	}
	if added.ID == 0 {
		m.Next[context]++
		added.ID = m.Next[context]
	}
	m.Subjects[name] = slices.DeleteFunc(m.Subjects[name], func(v modelVersion) bool {
		return v.Schema+" "+v.Refers == identity && v.Deleted && !m.referred(name, v.Number, true, "")
	})
	m.Subjects[name] = append(m.Subjects[name], added)
	return 200, added.ID
}

func (m *model) deleteVersion(name string, number int, permanent bool) (int, any) {
	versions := m.Subjects[name]
	i := slices.IndexFunc(versions, func(v modelVersion) bool { return v.Number == number })
	switch {
	case len(versions) == 0:
		return 404, 40401
	case i < 0:
		return 404, 40402
	case !permanent && versions[i].Deleted:
		return 404, 40406
	case m.Modes[name] != "":
		return 422, 42205
	case m.referred(name, number, permanent, ""):
		return 422, 42206
	case permanent && !versions[i].Deleted:
		return 404, 40407
	case permanent:
		m.Subjects[name] = slices.Delete(versions, i, i+1)
		m.emptied(name)
	default:
		versions[i].Deleted = true
	}
	return 200, number
}

func (m *model) emptied(name string) {
	if len(m.Subjects[name]) == 0 {
		delete(m.Subjects, name)
		delete(m.Levels, name)
		delete(m.Modes, name)
	}
}

func (m *model) deleteSubject(name string, permanent bool) (int, any) {
	versions := m.Subjects[name]
	alive := live(versions)
	switch {
	case len(versions) == 0:
		return 404, 40401
	case !permanent && len(alive) == 0:
		return 404, 40404
	case m.Modes[name] != "":
		return 422, 42205
	}
	for _, v := range versions {
		if m.referred(name, v.Number, permanent, name) {
			return 422, 42206
		}
	}
	if permanent && len(alive) > 0 {
		return 404, 40405
	}
	if permanent {
		delete(m.Subjects, name)
		m.emptied(name)
	}
	for i := range versions {
		versions[i].Deleted = true
	}
	return 200, nil
}

// dump says what is registered and set, as the registry's does.
func (m *model) dump() []string {
	var list []string
	for name, versions := range m.Subjects {
		for _, v := range versions {
			list = append(list, fmt.Sprintf("%s %d id %d deleted %t %s", name, v.Number, v.ID, v.Deleted, v.Schema))
		}
	}
	for name, l := range m.Levels {
		list = append(list, "level "+name+" "+l)
	}
	for name, mode := range m.Modes {
		list = append(list, "mode "+name+" "+mode)
	}
	slices.Sort(list)
	return list
}
