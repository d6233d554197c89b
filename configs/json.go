package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jsonField is one member of a JSON object.
type jsonField struct {
	name  string
	value json.RawMessage
	at    int // where the value starts in the text
	line  int // of the name
}

// jsonText is a JSON text, which may be a part of a longer one.
type jsonText struct {
	data []byte // the whole text
}

// DecodeObject reads a flat JSON object as Connect's REST API does for a configuration: numbers and booleans become
// their text, null stays nil. A value that is an object or a list, a text that is no JSON object, and text behind it
// are errors that name line and column; a name that comes twice counts with its last value.
func DecodeObject(data []byte) (map[string]*string, error) {
	t := jsonText{data}
	fields, problems := t.object(0, len(data))
	if err := Err(problems); err != nil {
		return nil, err
	}
	out := make(map[string]*string, len(fields))
	for _, f := range fields {
		text, p := t.scalar(f)
		if p != nil {
			return nil, errors.New(p.String())
		}
		out[f.name] = text
	}
	return out, nil
}

// object returns the members of the object that data[from:to] is; later ones of the same name replace earlier ones.
func (t jsonText) object(from, to int) ([]jsonField, []Problem) {
	data := t.data[from:to]
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, []Problem{t.syntax(err, from)}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		line, column := t.position(from)
		return nil, []Problem{{Severity: Error, Line: line, Column: column,
			Message: "a JSON object is needed here: {\"key\": \"value\", …}"}}
	}
	var fields []jsonField
	var problems []Problem
	at := map[string]int{}
	line, counted := t.lineOf(from), from
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fields, append(problems, t.syntax(err, from))
		}
		end := from + int(dec.InputOffset())
		line += bytes.Count(t.data[counted:end], []byte("\n"))
		counted = end
		f := jsonField{line: line}
		f.name, _ = name.(string)
		if err := dec.Decode(&f.value); err != nil {
			return fields, append(problems, t.syntax(err, from))
		}
		f.at = from + int(dec.InputOffset()) - len(f.value)
		if i, ok := at[f.name]; ok {
			problems = append(problems, Problem{Key: f.name, Severity: Warning, Line: f.line,
				Message: fmt.Sprintf("%s was given before on line %d; this value counts.", f.name, fields[i].line)})
			fields[i] = f
			continue
		}
		at[f.name] = len(fields)
		fields = append(fields, f)
	}
	return fields, problems
}

// scalar returns a member's value as text, nil for null.
func (t jsonText) scalar(f jsonField) (*string, *Problem) {
	text := string(f.value)
	switch f.value[0] {
	case 'n':
		return nil, nil
	case '"':
		if err := json.Unmarshal(f.value, &text); err != nil {
			p := t.syntax(err, f.at)
			return nil, &p
		}
	case '{', '[':
		line, column := t.position(f.at)
		kind := "an object"
		if f.value[0] == '[' {
			kind = "a list; write the elements as one text with commas between them"
		}
		return nil, &Problem{Key: f.name, Severity: Error, Line: line, Column: column,
			Message: "Invalid value for configuration " + f.name + ": a text, a number, true or false is needed, not " + kind}
	}
	return &text, nil
}

// lineOf returns the line of an offset, from 1.
func (t jsonText) lineOf(offset int) int { return 1 + bytes.Count(t.data[:offset], []byte("\n")) }

// position returns line and column (in characters) of an offset, both from 1.
func (t jsonText) position(offset int) (line, column int) {
	before := string(t.data[:min(max(offset, 0), len(t.data))])
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

// syntax explains what is wrong with a text that is no JSON. The commonest mistakes are told what to do about.
func (t jsonText) syntax(err error, from int) Problem {
	p := Problem{Severity: Error, Message: "not JSON: " + err.Error()}
	var se *json.SyntaxError
	if !errors.As(err, &se) {
		p.Line, p.Column = t.position(from)
		return p
	}
	at := from + int(se.Offset) - 1 // of the character that does not fit
	if at < 0 || at >= len(t.data) || strings.HasPrefix(se.Error(), "unexpected end") {
		p.Line, p.Column = t.position(len(t.data))
		p.Message = "not JSON: the text ends too early; a }, a ] or a \" is missing"
		return p
	}
	before := bytes.TrimRight(t.data[:at], " \t\r\n")
	switch c := t.data[at]; {
	case c == '/' || c == '#':
		p.Message = "not JSON: JSON has no comments; take this one out, or write a .properties file, where # starts a comment"
	case (c == '}' || c == ']') && bytes.HasSuffix(before, []byte(",")):
		at = len(before) - 1
		p.Message = fmt.Sprintf("not JSON: the comma before the %c is one too many; take it out", c)
	case c == '\'':
		p.Message = "not JSON: names and texts stand between double quotes (\"), not single ones"
	case strings.Contains(se.Error(), "after top-level value"):
		p.Message = "not JSON: there is more text after the end of the object"
	case strings.Contains(se.Error(), "after object key:value pair"):
		p.Message += "; a comma or a } is missing before it"
	}
	p.Line, p.Column = t.position(at)
	return p
}
