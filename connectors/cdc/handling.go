package cdc

import (
	"encoding/base64"
	"encoding/hex"

	"github.com/sluicehub/sluice/connectors"
)

// DecimalHandling is the value of decimal.handling.mode.
type DecimalHandling string

// The modes.
const (
	PreciseDecimal DecimalHandling = "precise"
	DoubleDecimal  DecimalHandling = "double"
	StringDecimal  DecimalHandling = "string"
)

// DecimalHandlings lists the modes, for a definition's Enum.
func DecimalHandlings() []string {
	return []string{string(PreciseDecimal), string(DoubleDecimal), string(StringDecimal)}
}

// BinaryHandling is the value of binary.handling.mode.
type BinaryHandling string

// The modes.
const (
	RawBinary     BinaryHandling = "bytes"
	Base64Binary  BinaryHandling = "base64"
	Base64URLSafe BinaryHandling = "base64-url-safe"
	HexBinary     BinaryHandling = "hex"
)

// BinaryHandlings lists the modes, for a definition's Enum.
func BinaryHandlings() []string {
	return []string{string(RawBinary), string(Base64Binary), string(Base64URLSafe), string(HexBinary)}
}

// Schema returns the required schema of binary data.
func (m BinaryHandling) Schema() *connectors.Schema {
	if m == RawBinary {
		return connectors.BytesSchema
	}
	return connectors.StringSchema
}

// Append appends binary data.
func (m BinaryHandling) Append(dst, data []byte) []byte {
	switch m {
	case Base64Binary:
		dst = connectors.AppendInt(dst, int64(base64.StdEncoding.EncodedLen(len(data))))
		return base64.StdEncoding.AppendEncode(dst, data)
	case Base64URLSafe:
		dst = connectors.AppendInt(dst, int64(base64.URLEncoding.EncodedLen(len(data))))
		return base64.URLEncoding.AppendEncode(dst, data)
	case HexBinary:
		return hex.AppendEncode(connectors.AppendInt(dst, int64(2*len(data))), data)
	}
	return connectors.AppendBytes(dst, data)
}
