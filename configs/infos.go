package configs

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Infos is Connect's answer to "is this configuration valid": the body of
// PUT /connector-plugins/{plugin}/config/validate, with exactly its JSON names.
type Infos struct {
	Name       string   `json:"name"` // the connector class as the caller named it
	ErrorCount int      `json:"error_count"`
	Groups     []string `json:"groups"`
	Configs    []Info   `json:"configs"`
	// Warnings are ours: unknown keys, older names, keys without effect. The member is left out if there are none.
	Warnings []Problem `json:"warnings,omitempty"`
}

// Info is one key's declaration and what was given for it.
type Info struct {
	Definition *KeyInfo  `json:"definition"` // null if an error belongs to a key that is not declared
	Value      ValueInfo `json:"value"`
}

// KeyInfo is a key's declaration in Connect's REST API. Connect called the place in the group "order" up to 4.1 and
// "order_in_group" from 4.2 on; clients of both exist, so both are written.
type KeyInfo struct {
	Name          string     `json:"name"`
	Type          Type       `json:"type"`
	Required      bool       `json:"required"`
	DefaultValue  *string    `json:"default_value"`
	Importance    Importance `json:"importance"`
	Documentation string     `json:"documentation"`
	Group         *string    `json:"group"`
	OrderInGroup  int        `json:"order_in_group"`
	Order         int        `json:"order"`
	Width         Width      `json:"width"`
	DisplayName   string     `json:"display_name"`
	Dependents    []string   `json:"dependents"`
}

// ValueInfo is what was given for a key in Connect's REST API, or its default.
type ValueInfo struct {
	Name              string   `json:"name"`
	Value             *string  `json:"value"`
	RecommendedValues []string `json:"recommended_values"`
	Errors            []string `json:"errors"`
	Visible           bool     `json:"visible"`
}

// KeyInfos returns the declarations for GET /connector-plugins/{plugin}/config. Families of keys are not among them,
// as in Connect.
func (d *Definition) KeyInfos() []KeyInfo {
	infos := []KeyInfo{}
	order := map[string]int{}
	for i := range d.Keys {
		if k := &d.Keys[i]; !isFamily(k.Name) {
			infos = append(infos, k.info(k.Name, order))
		}
	}
	return infos
}

// Validate parses a configuration and returns the answer for it. Name is left to the caller.
func (d *Definition) Validate(raw map[string]string) Infos {
	v, problems := d.Parse(raw)
	infos := Infos{Groups: []string{}, Configs: []Info{}}
	order := map[string]int{}
	for _, name := range v.index.names(v.given) {
		k := v.index.find(name)
		info := k.info(name, order)
		if k.Group != "" && !slices.Contains(infos.Groups, k.Group) {
			infos.Groups = append(infos.Groups, k.Group)
		}
		infos.Configs = append(infos.Configs, Info{Definition: &info, Value: k.valueInfo(name, v)})
	}
	infos.Add(problems...)
	return infos
}

// Add hangs problems on the keys they belong to: those that only a child process or the world could find. Errors
// that are there already are not repeated. An error without a key goes to "connector.class".
func (in *Infos) Add(problems ...Problem) {
	for _, p := range problems {
		if !p.IsError() {
			if !slices.Contains(in.Warnings, p) {
				in.Warnings = append(in.Warnings, p)
			}
			continue
		}
		if p.Key == "" {
			p.Key = "connector.class"
		}
		value := in.value(p.Key)
		if !slices.Contains(value.Errors, p.Message) {
			value.Errors = append(value.Errors, p.Message)
			in.ErrorCount++
		}
	}
}

// value returns the entry of a key, made if there is none.
func (in *Infos) value(name string) *ValueInfo {
	for i := range in.Configs {
		if in.Configs[i].Value.Name == name {
			return &in.Configs[i].Value
		}
	}
	value := ValueInfo{Name: name, RecommendedValues: []string{}, Errors: []string{}, Visible: true}
	in.Configs = append(in.Configs, Info{Value: value})
	return &in.Configs[len(in.Configs)-1].Value
}

// Redact puts the text as it was written (the placeholder) in the place of every value that came from a config
// provider, in values, errors and warnings, and takes the recommended values away, which could show it.
func (in *Infos) Redact(r Resolved) {
	r.Redact(in.Warnings)
	for i := range in.Configs {
		value := &in.Configs[i].Value
		written, ok := r.Tainted[value.Name]
		if !ok {
			continue
		}
		if value.Value != nil && *value.Value != HiddenValue {
			value.Value = &written
		}
		value.RecommendedValues = []string{}
		for j := range value.Errors {
			value.Errors[j] = r.redactMessage(value.Name, value.Errors[j])
		}
	}
}

// info returns the declaration of a name, counting its place in its group.
func (k *Key) info(name string, order map[string]int) KeyInfo {
	info := KeyInfo{Name: name, Type: k.Type, Required: k.Required, Importance: k.Importance, Documentation: k.Doc,
		OrderInGroup: -1, Width: k.Width, DisplayName: k.DisplayName, Dependents: k.Dependents}
	if k.hasDefault() {
		value, _ := k.parse(k.Default)
		info.DefaultValue = k.print(value)
	}
	if info.Importance == "" {
		info.Importance = Low
	}
	if k.Group != "" {
		group := k.Group
		order[group]++
		info.Group, info.OrderInGroup = &group, order[group]
	}
	info.Order = info.OrderInGroup
	if info.Width == "" {
		info.Width = WidthNone
	}
	if info.DisplayName == "" {
		info.DisplayName = name
	}
	if info.Dependents == nil {
		info.Dependents = []string{}
	}
	return info
}

func (k *Key) valueInfo(name string, v Values) ValueInfo {
	info := ValueInfo{Name: name, Value: k.print(v.parsed[name]), Visible: true,
		RecommendedValues: []string{}, Errors: []string{}}
	if info.Value != nil && isFamily(k.Name) && secretName.MatchString(name) {
		hidden := HiddenValue
		info.Value = &hidden
	}
	switch {
	case k.Recommend != nil:
		info.RecommendedValues = append(info.RecommendedValues, k.Recommend(v)...)
	case k.Type != Boolean:
		info.RecommendedValues = append(info.RecommendedValues, k.Enum...)
	}
	for _, c := range k.DependsOn {
		info.Visible = info.Visible && v.holds(c)
	}
	return info
}

// holds reports whether a condition holds. One about a key that is not declared does.
func (v Values) holds(c Condition) bool {
	k := v.index.find(c.Key)
	if k == nil {
		return true
	}
	value := k.printPlain(v.parsed[c.Key])
	return slices.ContainsFunc(c.Values, func(want string) bool { return strings.EqualFold(want, value) })
}

// print returns a typed value as ConfigDef.convertToString does; nil is null.
func (k *Key) print(value any) *string {
	if value == nil {
		return nil
	}
	text := k.printPlain(value)
	if k.secret() {
		text = HiddenValue
	}
	return &text
}

func (k *Key) printPlain(value any) string {
	switch value := value.(type) {
	case bool:
		return strconv.FormatBool(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return printDouble(value)
	case []string:
		return strings.Join(value, ",")
	case string:
		return value
	}
	return ""
}

// printDouble prints as Java's Double.toString: always with a fraction, with an exponent outside 0.001 … 10,000,000.
func printDouble(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}
