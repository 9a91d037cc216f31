import { CreateAlikassaTables1764000000000 } from './1764000000000-create-alikassa-tables.js';
import { AddPausesAndDeliveries1764100000000 } from './1764100000000-add-pauses-and-deliveries.js';
import { ProtectFinalRows1764200000000 } from './1764200000000-protect-final-rows.js';
import { AddRecipientRetention1764300000000 } from './1764300000000-add-recipient-retention.js';
import { AddAttentionIndex1764500000000 } from './1764500000000-add-attention-index.js';
import { AddInstances1764600000000 } from './1764600000000-add-instances.js';
import { AddJobsByIndex1764700000000 } from './1764700000000-add-jobs-by-index.js';
import { KeepWhatWasHeard1764800000000 } from './1764800000000-keep-what-was-heard.js';
import { AddKeys1764850000000 } from './1764850000000-add-keys.js';
import { RefuseWhatNoMachineDoes1764900000000 } from './1764900000000-refuse-what-no-machine-does.js';
import { AddDatabaseEpochs1764950000000 } from './1764950000000-add-database-epochs.js';
import { placed } from './host.placement.js';

/** Every migration of this module, in order, for the host's own DataSource: in its `schema`, with its `entityPrefix`. */
export const alikassaMigrations = [
  CreateAlikassaTables1764000000000,
  AddPausesAndDeliveries1764100000000,
  ProtectFinalRows1764200000000,
  AddRecipientRetention1764300000000,
  AddAttentionIndex1764500000000,
  AddInstances1764600000000,
  AddJobsByIndex1764700000000,
  KeepWhatWasHeard1764800000000,
  AddKeys1764850000000,
  RefuseWhatNoMachineDoes1764900000000,
  AddDatabaseEpochs1764950000000,
].map(placed);
