/** Does the gateway take the credential that it is shown, and does it want one at all? */
import { routeChange } from '../config/change.ts';
import { harmless, type Probe } from './examination.ts';
import { finding } from './finding.ts';

export const credentials: Probe = async ({ patient, asker, usual }) => {
  const { showsCredential, settings, loaded, at } = patient;
  const isRefused = usual.status === 401 || usual.status === 403;
  if (!showsCredential && isRefused)
    return [
      finding(
        'note',
        'credentials',
        `${usual.status}: it wants a credential. --credential-env NAME takes one from a variable; without it the gateway's own checks hide what is behind them.`,
      ),
    ];
  if (!showsCredential) return [finding('ok', 'credentials', 'It wants none at this path.')];
  if (isRefused) {
    const { credentials: handling } = settings.adapter;
    const changes =
      handling === 'replace'
        ? [routeChange(loaded, at.route, ['adapter', 'secret'], { now: 'set, and not shown here', wanted: '${GATEWAY_KEY}' })]
        : [];
    return [
      finding('clash', 'credentials', `${usual.status}: it refuses the credential, or does not look where it stands.`, {
        changes,
      }),
    ];
  }
  const stranger = await asker.ask(await patient.strangerDraft(harmless));
  if (stranger.kind === 'failed') return [];
  const { status } = stranger.reply;
  return status === 401 || status === 403
    ? [finding('ok', 'credentials', `It takes the credential, and refuses requests without one (${status}).`)]
    : [
        finding(
          'note',
          'credentials',
          `It answers with and without the credential (${status}), so nothing is checked at this path.`,
        ),
      ];
};
