package configs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds what is read of a file of configuration or secrets, in bytes.
const maxFile = 16 << 20

// File is a connector's configuration as it stands in a file, or the worker's.
type File struct {
	Path string
	// Name is the connector's name, "" if the file gives none. Config then lacks it, too.
	Name   string
	Config map[string]string
	// Lines are the lines on which the keys stand, from 1.
	Lines map[string]int
	// InitialState is RUNNING, PAUSED or STOPPED, or "" if the file gives none.
	InitialState string
}

// Load reads a file of configuration, placeholders unresolved. What the file is, its content decides, as in Connect's
// standalone mode: a flat JSON object, an object {"name", "config", "initial_state"}, or else .properties. With a
// problem that is an error, File holds what could be read. A file of more than 16 MiB is refused.
func Load(path string) (File, []Problem) {
	f, err := os.Open(path)
	if err != nil {
		return File{Path: path, Config: map[string]string{}, Lines: map[string]int{}},
			[]Problem{{Severity: Error, File: path, Message: "cannot be read: " + reason(err)}}
	}
	defer f.Close()
	data, err := readAll(f)
	if err != nil {
		return File{Path: path, Config: map[string]string{}, Lines: map[string]int{}},
			[]Problem{{Severity: Error, File: path, Message: "cannot be read: " + reason(err)}}
	}
	return ParseFile(path, data)
}

// readAll reads a file of at most maxFile bytes.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return data, err
}

// reason returns an error of a file without the path in front.
func reason(err error) string {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// ParseFile is Load for a text that was read already. The path names it in problems, and .json at its end makes it
// JSON whatever it starts with.
func ParseFile(path string, data []byte) (File, []Problem) {
	f := File{Path: path, Config: map[string]string{}, Lines: map[string]int{}}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var problems []Problem
	if isJSON(path, data) {
		problems = f.parseJSON(data)
	} else {
		problems = f.parseProperties(data)
	}
	for i := range problems {
		problems[i].File = path
	}
	return f, problems
}

// isJSON reports whether a text is meant to be JSON. A properties file cannot start with a brace and mean anything.
func isJSON(path string, data []byte) bool {
	return strings.EqualFold(filepath.Ext(path), ".json") || bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

func (f *File) parseProperties(data []byte) []Problem {
	entries, problems := ParseProperties(data)
	for _, e := range entries {
		f.Config[e.Key] = e.Value
		f.Lines[e.Key] = e.Line
	}
	f.Name = strings.TrimSpace(f.Config["name"])
	return problems
}

func (f *File) parseJSON(data []byte) []Problem {
	t := jsonText{data}
	fields, problems := t.object(0, len(data))
	for _, field := range fields {
		if field.name == "config" && field.value[0] == '{' {
			return append(problems, f.parseWrapped(t, fields, field)...)
		}
	}
	problems = append(problems, f.addFields(t, fields)...)
	f.Name = strings.TrimSpace(f.Config["name"])
	return problems
}

// addFields takes over the members of a flat object.
func (f *File) addFields(t jsonText, fields []jsonField) []Problem {
	var problems []Problem
	for _, field := range fields {
		text, p := t.scalar(field)
		switch {
		case p != nil:
			problems = append(problems, *p)
		case text == nil:
			problems = append(problems, Problem{Key: field.name, Severity: Error, Line: field.line,
				Message: "Invalid value null for configuration " + field.name +
					": a value is needed; leave the key out to have its default"})
		default:
			f.Config[field.name] = *text
			f.Lines[field.name] = field.line
		}
	}
	return problems
}

// parseWrapped reads {"name": …, "config": {…}, "initial_state": …}.
func (f *File) parseWrapped(t jsonText, fields []jsonField, config jsonField) []Problem {
	inner, problems := t.object(config.at, config.at+len(config.value))
	problems = append(problems, f.addFields(t, inner)...)
	for _, field := range fields {
		if field.name == "config" {
			continue
		}
		text, p := t.scalar(field)
		switch {
		case field.name != "name" && field.name != "initial_state":
			problems = append(problems, Problem{Key: field.name, Severity: Warning, Line: field.line,
				Message: fmt.Sprintf("%q beside \"config\" is ignored; there are \"name\", \"config\" and \"initial_state\".",
					field.name)})
		case p != nil:
			problems = append(problems, *p)
		case text == nil:
		case field.name == "name":
			problems = append(problems, f.setName(strings.TrimSpace(*text), field.line)...)
		default:
			problems = append(problems, f.setState(*text, field.line)...)
		}
	}
	if f.Name == "" {
		f.Name = strings.TrimSpace(f.Config["name"])
	}
	return problems
}

func (f *File) setName(name string, line int) []Problem {
	f.Name = name
	inner, ok := f.Config["name"]
	if !ok && name != "" {
		f.Config["name"] = name
		f.Lines["name"] = line
	} else if ok && strings.TrimSpace(inner) != name {
		return []Problem{{Key: "name", Value: inner, Severity: Error, Line: f.Lines["name"],
			Message: "Connector name configuration (" + inner + ") doesn't match connector name in the request (" + name + ")"}}
	}
	return nil
}

func (f *File) setState(state string, line int) []Problem {
	k := Key{Name: "initial_state", Type: String, Enum: []string{"RUNNING", "PAUSED", "STOPPED"}}
	value, messages := k.parse(state)
	if len(messages) > 0 {
		return []Problem{{Key: k.Name, Value: state, Severity: Error, Line: line, Near: k.nearestValue(state),
			Message: "Invalid value " + state + " for " + k.Name + ": " + messages[0]}}
	}
	f.InitialState, _ = value.(string)
	return nil
}

// Locate gives problems of the file's configuration their file and line, in place, and returns them.
func (f File) Locate(problems []Problem) []Problem {
	for i := range problems {
		if problems[i].File == "" {
			problems[i].File = f.Path
			problems[i].Line = f.Lines[problems[i].Key]
		}
	}
	return problems
}
