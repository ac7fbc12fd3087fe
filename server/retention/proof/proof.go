// Package proof makes documents that somebody can check years later, without this
// server and without its database: readable JSON, and below it one line that says
// by which key it was signed.
//
//	file, err := proof.Sign(proof.Retention, certificate, signer)
//	err = proof.Open(proof.Retention, file, keys, &certificate)
//
// The promise: Open returns nil only for the very bytes that Sign returned, signed
// for that kind of document by one of the keys.
//
// What the documents say is their makers' matter, and where keys live package
// enrol's.
package proof

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Kind is what a document is: a signature for one kind says nothing of another.
type Kind string

// The kinds.
const (
	Retention Kind = "retention" // what was dropped at the end of its retention
	Erasure   Kind = "erasure"   // a person's data was erased
	Export    Kind = "export"    // what is held of a person
	Head      Kind = "head"      // the newest seal of the audit rows
)

// ErrProof is returned for what is not a document of the kind that is asked for,
// signed by one of the keys.
var ErrProof = errors.New("not a document that this server signed")

// MaxSize is the largest document in bytes.
const MaxSize = 64 << 20

// A Signer is a key and its number.
type Signer struct {
	ID  uint32
	Key ed25519.PrivateKey
}

// Keys are the public keys by their numbers, old ones among them.
type Keys map[uint32]ed25519.PublicKey

// Keys returns what verifies the signer's own documents.
func (s Signer) Keys() Keys { return Keys{s.ID: s.Key.Public().(ed25519.PublicKey)} }

const (
	lineStart = "qrgate-proof 1 "
	context   = "qrgate proof v1\x00"
)

// Sign returns doc as a document.
func Sign(kind Kind, doc any, by Signer) ([]byte, error) {
	body, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("proof: %s: %w", kind, err)
	}
	body = append(body, '\n')
	sig := ed25519.Sign(by.Key, signed(kind, by.ID, body))
	return fmt.Appendf(body, "%s%s %d %s\n", lineStart, kind, by.ID, base64.StdEncoding.EncodeToString(sig)), nil
}

func signed(kind Kind, id uint32, body []byte) []byte {
	b := make([]byte, 0, len(context)+len(kind)+5+len(body))
	b = append(append(append(b, context...), kind...), 0)
	return append(binary.BigEndian.AppendUint32(b, id), body...)
}

// Open verifies a document and decodes what it says into doc.
func Open(kind Kind, file []byte, keys Keys, doc any) error {
	bad := func(why string) error { return fmt.Errorf("proof: %s: %s: %w", kind, why, ErrProof) }
	if len(file) > MaxSize {
		return bad("too large")
	}
	text, ok := bytes.CutSuffix(file, []byte("\n"))
	if !ok {
		return bad("its last line is cut off")
	}
	at := bytes.LastIndexByte(text, '\n') + 1
	line, ok := strings.CutPrefix(string(text[at:]), lineStart)
	if !ok {
		return bad("no line says who signed it")
	}
	fields := strings.Split(line, " ")
	if len(fields) != 3 || fields[0] != string(kind) {
		return bad("it is of another kind")
	}
	id, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil || strconv.FormatUint(id, 10) != fields[1] {
		return bad("the key has no number")
	}
	// Strict, so that no two texts are one signature.
	sig, err := base64.StdEncoding.Strict().DecodeString(fields[2])
	if err != nil || base64.StdEncoding.EncodeToString(sig) != fields[2] {
		return bad("the signature is none")
	}
	key := keys[uint32(id)]
	if len(key) != ed25519.PublicKeySize {
		return bad("key " + fields[1] + " is not known")
	}
	if !ed25519.Verify(key, signed(kind, uint32(id), file[:at]), sig) {
		return bad("the signature does not fit")
	}
	if err := json.Unmarshal(file[:at], doc); err != nil {
		return fmt.Errorf("proof: %s: %w", kind, err)
	}
	return nil
}
