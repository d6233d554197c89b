package configs

import (
	"strings"
)

// Markdown returns the reference page of the definition: a heading and a table for each group, in the order in which
// the groups first come, and the rules at the end.
func (d *Definition) Markdown() string {
	var groups []string
	rows := map[string][]string{}
	for i := range d.Keys {
		k := &d.Keys[i]
		if rows[k.Group] == nil {
			groups = append(groups, k.Group)
		}
		rows[k.Group] = append(rows[k.Group], k.markdown())
	}
	var b strings.Builder
	for _, group := range groups {
		if group != "" {
			b.WriteString("## " + group + "\n\n")
		}
		b.WriteString("| Key | Type | Default | Importance | Meaning |\n|---|---|---|---|---|\n")
		b.WriteString(strings.Join(rows[group], ""))
		b.WriteString("\n")
	}
	for i := range d.Rules {
		if text := d.Rules[i].markdown(); text != "" {
			b.WriteString("- " + text + "\n")
		}
	}
	return b.String()
}

// markdown returns the key's row.
func (k *Key) markdown() string {
	def := "–"
	switch {
	case k.Required:
		def = "required"
	case k.secret() && k.hasDefault():
		def = HiddenValue
	case k.Default != "":
		def = code(k.Default)
	case k.DefaultEmpty:
		def = "empty"
	}
	importance := k.Importance
	if importance == "" {
		importance = Low
	}
	text := []string{k.Doc}
	if len(k.Enum) > 0 {
		text = append(text, "One of "+codes(k.Enum)+".")
	}
	switch {
	case k.Min != "" && k.Max != "":
		text = append(text, "From "+k.Min+" to "+k.Max+".")
	case k.Min != "":
		text = append(text, "At least "+k.Min+".")
	case k.Max != "":
		text = append(text, "At most "+k.Max+".")
	}
	if k.Example != "" {
		text = append(text, "Example: "+code(k.Example)+".")
	}
	if len(k.Aliases) > 0 {
		text = append(text, "Also understood: "+codes(k.Aliases)+".")
	}
	if k.Notice != "" {
		text = append(text, k.Notice)
	}
	kind := strings.ToLower(string(k.Type))
	if k.Unit != "" {
		kind += ", " + k.Unit
	}
	meaning := strings.TrimSpace(strings.Join(text, " "))
	cells := []string{code(k.Name), kind, def, strings.ToLower(string(importance)), meaning}
	for i := range cells {
		cells[i] = cell(cells[i])
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (r *Rule) markdown() string {
	switch r.Kind {
	case RuleAtMostOne:
		return "At most one of " + codes(r.Keys) + " can be given."
	case RuleExactlyOne:
		return "Exactly one of " + codes(r.Keys) + " must be given."
	case RuleRequires:
		if len(r.Keys) > 1 {
			return code(r.Keys[0]) + " needs " + codes(r.Keys[1:]) + "."
		}
	}
	return r.Doc
}

// cell makes a text fit into one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\r\n", "<br>", "\n", "<br>").Replace(s)
}

func code(s string) string { return "`" + s + "`" }

func codes(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = code(s)
	}
	return strings.Join(out, ", ")
}
