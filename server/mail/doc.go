// Package mail sends plain-text letters to people by SMTP: links to confirm an
// address or to choose a new password, invitations, notices.
//
//	sender, err := mail.New(config, log, mail.Options{})
//	go sender.Run(ctx)
//
//	err := sender.Send(mail.Message{To: address, Subject: "Đặt lại mật khẩu / Reset your password", Text: text})
//
// The promise: Send never waits for a mail server, and a letter that it took is
// delivered once the server answers, for as long as the process lives and for a
// day at most. A server that is down for an hour loses nothing.
//
// Accepted letters are in memory only. A crash or a power cut loses those that
// are waiting, all within seconds of being accepted while the mail server is up.
// When Run ends it tries for some seconds to send what waits, and logs how many
// letters it could not. That is enough for links, which people ask for again;
// what must not be lost is shown in the portal and not only mailed. A server
// that breaks off between taking a letter and saying so gets it a second time,
// with the same Message-ID.
//
// Log lines give the number of a letter within the process and what the mail
// server's answer was, as a code; never an address, a subject or a text.
//
// Left out: HTML, attachments, receiving, addresses with letters outside ASCII.
package mail
