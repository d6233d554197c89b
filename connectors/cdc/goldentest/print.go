package goldentest

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// Line prints a record as the recordings have it: key and value as JsonConverter writes them (with schemas or
// without), headers as text.
func Line(r connectors.Record, schemas bool) ([]byte, error) {
	key, err := Document(r.Key, schemas)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	value, err := Document(r.Value, schemas)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	var hs []string
	for _, h := range r.Headers {
		v, _, err := connectors.ReadValue(h.Value.Schema, h.Value.Bytes)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", h.Key, err)
		}
		text := v.Text()
		if v.Type != connectors.String {
			text = JSON(h.Value.Schema, v)
		}
		hs = append(hs, `{"key":`+quoted(h.Key)+`,"value":`+quoted(text)+`}`)
	}
	return []byte(`{"key":` + key + `,"value":` + value + `,"headers":[` + strings.Join(hs, ",") + `]}`), nil
}

// Document prints a key or value.
func Document(d connectors.Data, schemas bool) (string, error) {
	if d.IsNull() {
		return "null", nil
	}
	v, rest, err := connectors.ReadValue(d.Schema, d.Bytes)
	if err != nil {
		return "", err
	}
	if len(rest) > 0 {
		return "", fmt.Errorf("%d bytes follow the value", len(rest))
	}
	if !schemas {
		return JSON(d.Schema, v), nil
	}
	return `{"schema":` + Schema(d.Schema, "") + `,"payload":` + JSON(d.Schema, v) + `}`, nil
}

// JSON prints a value. A null of a schema with a default is the default, as JsonConverter has it.
func JSON(s *connectors.Schema, v connectors.Value) string {
	if v.IsNull() && s.Default != nil {
		v = *s.Default
	}
	switch v.Type {
	case connectors.Boolean:
		return strconv.FormatBool(v.Bool())
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case connectors.Float32, connectors.Float64:
		return float(v)
	case connectors.String:
		return quoted(v.Text())
	case connectors.Bytes:
		return `"` + base64.StdEncoding.EncodeToString(v.Raw()) + `"`
	case connectors.Array:
		var parts []string
		for _, x := range v.List() {
			parts = append(parts, JSON(s.Elem, x))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case connectors.Struct:
		var parts []string
		for i, x := range v.List() {
			parts = append(parts, quoted(s.Fields[i].Name)+":"+JSON(s.Fields[i].Schema, x))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case connectors.Map:
		var parts []string
		for i := 0; i < len(v.List()); i += 2 {
			parts = append(parts, quoted(v.List()[i].Text())+":"+JSON(s.Elem, v.List()[i+1]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "null"
}

func float(v connectors.Value) string {
	f, bits := v.Float(), 64
	if v.Type == connectors.Float32 {
		bits = 32
	}
	switch {
	case math.IsNaN(f):
		return `"NaN"`
	case math.IsInf(f, 1):
		return `"Infinity"`
	case math.IsInf(f, -1):
		return `"-Infinity"`
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// Schema prints a schema; field is the name of the field that has it, "" for none.
func Schema(s *connectors.Schema, field string) string {
	name := map[connectors.Type]string{connectors.Float32: "float", connectors.Float64: "double"}[s.Type]
	if name == "" {
		name = s.Type.String()
	}
	out := `{"type":` + quoted(name)
	switch s.Type {
	case connectors.Struct:
		var parts []string
		for _, f := range s.Fields {
			parts = append(parts, Schema(f.Schema, f.Name))
		}
		out += `,"fields":[` + strings.Join(parts, ",") + "]"
	case connectors.Array:
		out += `,"items":` + Schema(s.Elem, "")
	case connectors.Map:
		out += `,"keys":` + Schema(s.Key, "") + `,"values":` + Schema(s.Elem, "")
	}
	out += `,"optional":` + strconv.FormatBool(s.Optional)
	if s.Name != "" {
		out += `,"name":` + quoted(s.Name)
	}
	if s.Version != 0 {
		out += `,"version":` + strconv.Itoa(s.Version)
	}
	if s.Doc != "" {
		out += `,"doc":` + quoted(s.Doc)
	}
	if len(s.Parameters) > 0 {
		var parts []string
		for _, p := range s.Parameters {
			parts = append(parts, quoted(p.Name)+":"+quoted(p.Value))
		}
		out += `,"parameters":{` + strings.Join(parts, ",") + "}"
	}
	if s.Default != nil {
		out += `,"default":` + JSON(s, *s.Default)
	}
	if field != "" {
		out += `,"field":` + quoted(field)
	}
	return out + "}"
}
