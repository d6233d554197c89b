package transforms

import "github.com/sluicehub/sluice/configs"

// unwrapFromEnvelopeDefinition declares the keys of UnwrapFromEnvelope, as ExtractNewRecordState was called before
// Debezium 0.10. Other than there a delete goes, if nothing is said.
func unwrapFromEnvelopeDefinition() *configs.Definition {
	return configs.Concat(&configs.Definition{Keys: []configs.Key{
		{Name: "drop.tombstones", Type: configs.Boolean, Default: "true", Importance: configs.Low, Doc: "Whether tombstones go."},
		{Name: "delete.handling.mode", Type: configs.String, Default: "drop", Enum: []string{"drop", "rewrite", "none"}, Importance: configs.Medium, Doc: "What becomes of a delete."},
		{Name: "drop.deletes", Type: configs.Boolean, Importance: configs.Low, Doc: "Whether deletes go; false is delete.handling.mode=none."},
	}}, olderFieldsDefinition())
}

// olderFieldsDefinition declares how fields of the envelope were added before Debezium 1.2.
func olderFieldsDefinition() *configs.Definition {
	const headers = "is Debezium's older key; add.headers=op replaces it, with another name of the header"
	const fields = "is Debezium's older key; add.fields=source.FIELD:FIELD replaces it"
	return &configs.Definition{Keys: []configs.Key{
		{Name: "operation.header", Type: configs.Boolean, Default: "false", Importance: configs.Low, Notice: headers, Doc: "Whether the operation is added as the header __debezium-operation."},
		{Name: "add.source.fields", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Notice: fields, Doc: "Fields of the source to add to the row, with __ in front."},
	}}
}

// olderFields returns the fields and headers that olderFieldsDefinition's keys add.
func olderFields(v configs.Values) (fields, headers []envelopeField) {
	for _, name := range v.List("add.source.fields") {
		fields = append(fields, envelopeField{parent: "source", name: name, as: "__" + name})
	}
	if v.Bool("operation.header") {
		headers = []envelopeField{{name: "op", as: "__debezium-operation"}}
	}
	return fields, headers
}

func newUnwrapFromEnvelope(v configs.Values, _ side, a *arena) (transform, error) {
	t := &unwrap{dropTombstones: v.Bool("drop.tombstones"), deletes: deleteModes()[v.String("delete.handling.mode")], replaceNull: true, arena: a}
	if v.Has("drop.deletes") {
		t.deletes = deleteNull
		if v.Bool("drop.deletes") {
			t.deletes = deleteDrop
		}
	}
	t.fields, t.headers = olderFields(v)
	return t, nil
}

// deleteModes are the values of delete.handling.mode.
func deleteModes() map[string]deleteMode {
	return map[string]deleteMode{"drop": deleteDrop, "rewrite": deleteRewrite, "none": deleteNull}
}
